"""The jars of Spark's connectors."""

from __future__ import annotations

import re

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.jars import GCS, LOCAL_FILES, resolve, spark_coordinates, spark_jars


def test_a_cluster_needs_the_connectors_only() -> None:
    coordinates = spark_coordinates()
    assert [coordinate.split(":")[1] for coordinate in coordinates] == [
        "spark-sql-kafka-0-10_2.13",
        "delta-spark_2.13",
        "postgresql",
    ]
    assert all(re.fullmatch(r"[\w.\-]+:[\w.\-]+:[\d.]+", coordinate) for coordinate in coordinates)
    assert not {LOCAL_FILES, GCS} & set(coordinates)


def test_a_local_session_gets_the_connectors_and_nothing_that_pyspark_has() -> None:
    names = {jar.name for jar in spark_jars()}
    for coordinate in (*spark_coordinates(), LOCAL_FILES):
        _, artifact, version = coordinate.split(":")
        assert f"{artifact}-{version}.jar" in names
    assert not [name for name in names if name.startswith(("scala-library", "spark-core", "spark-sql_"))]


def test_an_artifact_that_does_not_exist_is_reported_in_one_line() -> None:
    with pytest.raises(BytemeterError, match="^could not resolve the jars no.such:artifact:1: [^\n]*M2_REPO\\)$"):
        resolve(("no.such:artifact:1",))
