"""Which versions of Spark, Java and Python this project runs on, and which connectors belong to which Spark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bytemeter.errors import BytemeterError

_KAFKA = "org.apache.spark:spark-sql-kafka-0-10_2.13"
_STREAMING = "org.apache.spark.sql.execution.streaming"


@dataclass(frozen=True)
class Release:
    """What belongs to a release of Spark.

    Attributes:
        kafka: the Maven coordinates of the source of messages; it brings the token provider of its own version.
        delta: the Maven coordinates of the format of the history.
        plain_files: Spark's class that writes checkpoints by Hadoop's plain ``FileSystem``.
    """

    kafka: str
    delta: str
    plain_files: str


# Spark 4.2 is not among them: Delta has published nothing for it.
RELEASES: Mapping[str, Release] = {
    "4.0": Release(
        kafka=f"{_KAFKA}:4.0.0",
        delta="io.delta:delta-spark_2.13:4.0.1",
        plain_files=f"{_STREAMING}.FileSystemBasedCheckpointFileManager",
    ),
    "4.1": Release(
        kafka=f"{_KAFKA}:4.1.1",
        # Delta 4.2 for this Spark names a class that Spark has no more from 4.1.2 on.
        delta="io.delta:delta-spark_4.1_2.13:4.3.0",
        plain_files=f"{_STREAMING}.checkpointing.FileSystemBasedCheckpointFileManager",
    ),
}
# Spark's version in the managed runtimes of Dataproc, by the first two numbers of the runtime.
SERVERLESS_RUNTIMES: Mapping[str, str] = {"3.0": "4.0"}
# By image of the cluster, from 3.0.3 on.
CLUSTER_IMAGES: Mapping[str, str] = {"3.0": "4.1", "4.0": "4.2"}
JAVA = (17, 21)
PYTHON = ((3, 11), (3, 12), (3, 13))
# Superset has an environment of its own. It pins packages that do not exist for newer ones.
SUPERSET_PYTHON = ((3, 11), (3, 12))
# The least versions of what executors import.
EXECUTOR_PACKAGES: Mapping[str, str] = {"numpy": "1.26", "pandas": "2.2", "pyarrow": "18"}


def installed_spark() -> str:
    """The version of the pyspark that this process imports, e.g. ``4.0.5``."""
    import pyspark

    version: str = pyspark.__version__
    return version


def minor(version: str) -> str:
    """The first two numbers of a version: ``4.0`` of ``4.0.5``."""
    return ".".join(re.findall(r"\d+", version)[:2])


def release_of(spark: str) -> Release:
    """What belongs to a version of Spark.

    Args:
        spark: e.g. ``4.1.2`` or ``4.1``.

    Raises:
        BytemeterError: this version is not supported.
    """
    found = RELEASES.get(minor(spark))
    if found is None:
        raise BytemeterError(
            f"Spark {spark} is not supported, expected {' or '.join(RELEASES)}; use a cluster of such a version, or "
            f"install it here: pip install 'pyspark=={max(RELEASES)}.*'"
        )
    return found


def spark_of_runtime(runtime: str, *, serverless: bool) -> str:
    """Spark's version in a managed runtime of Dataproc.

    Args:
        runtime: of serverless batches, or the image of a cluster, e.g. ``3.0``, ``3.0.3`` or ``3.0.3-debian12``.

    Raises:
        BytemeterError: the runtime is not known, or its Spark is not supported.
    """
    kind, known = ("serverless runtime", SERVERLESS_RUNTIMES) if serverless else ("cluster image", CLUSTER_IMAGES)
    fitting = [name for name, spark in known.items() if spark in RELEASES]
    spark = known.get(minor(runtime))
    if spark is None:
        raise BytemeterError(f"the {kind} {runtime} is not known, expected {' or '.join(fitting)}; give one of these")
    if spark not in RELEASES:
        raise BytemeterError(
            f"the {kind} {runtime} has Spark {spark}, which is not supported, expected {' or '.join(RELEASES)}; "
            f"use the {kind} {max(fitting)}"
        )
    return spark
