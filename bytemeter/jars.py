"""The jars of Spark's connectors: their Maven coordinates, and the files that they resolve to."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from bytemeter.cache import cached
from bytemeter.errors import BytemeterError, first_line
from bytemeter.versions import installed_spark, release_of

POSTGRESQL = "org.postgresql:postgresql:42.7.7"
# For local sessions only: Hadoop otherwise starts a process (chmod) for each local file that it writes.
LOCAL_FILES = "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0"
# For local sessions that read gs://; Dataproc brings its own.
GCS = "com.google.cloud.bigdataoss:gcs-connector:3.1.9:shaded"

_VERSION = re.compile(r"-\d[\w.\-]*\.jar$")


def spark_coordinates(spark: str | None = None) -> tuple[str, ...]:
    """The Maven coordinates (group:artifact:version) that ``spark-submit --packages`` needs on a cluster.

    Args:
        spark: the version of the cluster's Spark, e.g. ``4.1``; by default that of the installed pyspark.

    Raises:
        BytemeterError: this version is not supported.
    """
    release = release_of(spark or installed_spark())
    return (release.kafka, release.delta, POSTGRESQL)


def spark_jars(*, gcs: bool = False) -> list[Path]:
    """The jars that a Spark session of this machine needs besides the jars inside pyspark.

    Args:
        gcs: include the connector for gs://.

    Raises:
        BytemeterError: the installed pyspark is not supported, or see ``resolve``.
    """
    return not_bundled((*spark_coordinates(), LOCAL_FILES, *((GCS,) if gcs else ())))


def not_bundled(coordinates: tuple[str, ...]) -> list[Path]:
    """The jars of these coordinates without those that pyspark has, in whatever version."""
    bundled = {_artifact(jar) for jar in bundled_jars()}
    return [jar for jar in resolve(coordinates) if _artifact(jar) not in bundled]


def bundled_jars() -> list[Path]:
    """The jars inside pyspark."""
    import pyspark

    return sorted((Path(pyspark.__file__).parent / "jars").glob("*.jar"))


@cache
def resolve(coordinates: tuple[str, ...]) -> list[Path]:
    """The jars of these Maven coordinates and of all their dependencies; downloaded once, then read from a cache.

    Raises:
        BytemeterError: the repository could not be reached or lacks an artifact.
    """
    known = cached("jars", " ".join(coordinates), "txt")
    with suppress(OSError):
        jars = [Path(line) for line in known.read_text().splitlines()]
        if jars and all(jar.exists() for jar in jars):
            return jars
    jars = _resolve(coordinates)
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        # Written whole or not at all: another process may start now.
        draft = known.with_suffix(f".{os.getpid()}")
        draft.write_text("".join(f"{jar}\n" for jar in jars))
        draft.replace(known)
    return jars


def _resolve(coordinates: tuple[str, ...]) -> list[Path]:
    # Importing jgo takes as long as Java takes to start.
    import jgo

    try:
        jars: list[Path] = jgo.build("+".join(coordinates)).all_jars
    except Exception as error:
        raise BytemeterError(
            f"could not resolve the jars {', '.join(coordinates)}: {first_line(error)}; {_remedy(error)}"
        ) from error
    return jars


def _remedy(error: Exception) -> str:
    if "certificate verify failed" in str(error):
        return "a proxy of your network has certificates of its own: name the file with them in REQUESTS_CA_BUNDLE"
    return "the first start needs Maven Central, or a filled Maven cache (M2_REPO)"


def _artifact(jar: Path) -> str:
    """The file's name without its version."""
    return _VERSION.sub("", jar.name)
