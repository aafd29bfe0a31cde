"""Checks the jars that a cluster's Spark was given, before its session starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bytemeter.errors import BytemeterError
from bytemeter.versions import installed_spark, minor

# A class of each.
_CLASSES: Mapping[str, str] = {
    "the Kafka source": "org/apache/spark/sql/kafka010/KafkaSourceProvider.class",
    "Delta": "org/apache/spark/sql/delta/DeltaLog.class",
    "PostgreSQL's driver": "org/postgresql/Driver.class",
}
# A jar's name tells which Spark it is for; those of another build, such as a vendor's, have other names.
_JAR = re.compile(r"([^/!]+\.jar)(?:!|$)")
_KAFKA = re.compile(r"spark-sql-kafka-0-10_[\d.]+-(\d+\.\d+)")
_DELTA = re.compile(r"delta-spark_(?:(?P<spark>\d+\.\d+)_)?2\.13-(?P<delta>\d+\.\d+)")
# Which Spark a release of Delta is for where the jar's name does not say it.
_SPARK_OF_DELTA = {"4.0": "4.0", "4.1": "4.1", "4.2": "4.1", "4.3": "4.1"}


def require_fitting_jars(jvm: Any) -> None:
    """Refuse jars that are missing or for another Spark: calls of their methods would fail in the middle of a query.

    Raises:
        BytemeterError: a jar is missing, or for another version of Spark.
    """
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    found = {name: loader.getResource(path) for name, path in _CLASSES.items()}
    spark = installed_spark()
    faults = list(jar_faults(spark, {name: url.toString() if url else None for name, url in found.items()}))
    if faults:
        raise BytemeterError(f"{'; '.join(faults)}; {remedy(spark)}")


def jar_faults(spark: str, found: Mapping[str, str | None]) -> Iterator[str]:
    """What is wrong with the jars.

    Args:
        spark: the version of Spark, e.g. ``4.0.1``.
        found: where a class of each was found, as Java names it; None if nowhere.
    """
    for name, location in found.items():
        if location is None:
            yield f"{name} is not on the class path of Spark {spark}"
            continue
        jar = _JAR.search(location)
        meant = _meant_for(jar[1]) if jar else None
        if jar and meant and meant != minor(spark):
            yield f"{jar[1]} is for Spark {meant}, this is Spark {spark}"


def remedy(spark: str) -> str:
    """What to do about jars that do not fit a version of Spark."""
    return f"give spark-submit --packages with the lines of jars-{minor(spark)}.txt of `make dist`, joined by commas"


def _meant_for(jar: str) -> str | None:
    """The release of Spark that a jar is for; None if its name does not tell."""
    if kafka := _KAFKA.search(jar):
        return kafka[1]
    if delta := _DELTA.search(jar):
        return delta["spark"] or _SPARK_OF_DELTA.get(delta["delta"])
    return None
