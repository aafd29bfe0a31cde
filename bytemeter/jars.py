"""The jars of Spark's connectors, resolved once from their Maven coordinates."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from bytemeter.errors import BytemeterError

POSTGRESQL = "org.postgresql:postgresql:42.7.7"
SPARK = (
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0",
    "io.delta:delta-spark_2.13:4.0.1",
    POSTGRESQL,
)
# Local files without a process (chmod) for each one.
LOCAL_FILES = "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0"
GCS = "com.google.cloud.bigdataoss:gcs-connector:3.1.9:shaded"

_VERSION = re.compile(r"-\d[\w.\-]*\.jar$")


def spark_jars(*, gcs: bool = False) -> list[Path]:
    """The jars for a Spark session of this machine, without those that pyspark brings itself."""
    import pyspark

    bundled = {_VERSION.sub("", jar.name) for jar in (Path(pyspark.__file__).parent / "jars").glob("*.jar")}
    resolved = resolve((*SPARK, LOCAL_FILES, *((GCS,) if gcs else ())))
    return [jar for jar in resolved if _VERSION.sub("", jar.name) not in bundled]


@cache
def resolve(coordinates: tuple[str, ...]) -> list[Path]:
    """Jars of the coordinates and all that they depend on, downloaded on first use and then from a cache.

    Raises:
        BytemeterError: the repository could not be reached or lacks an artifact.
    """
    import jgo

    try:
        environment = jgo.build("+".join(coordinates))
        jars: list[Path] = environment.all_jars
    except Exception as error:
        raise BytemeterError(
            f"could not resolve the jars {', '.join(coordinates)}: {str(error).splitlines()[0]}; "
            "the first start needs Maven Central, or a filled Maven cache (M2_REPO)"
        ) from error
    return jars
