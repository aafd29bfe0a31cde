"""Jars that do not fit Spark are refused before its session starts."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from bytemeter.cluster_jars import jar_faults, require_fitting_jars
from bytemeter.jars import spark_coordinates
from bytemeter.versions import RELEASES

PLACE = "jar:file:/tmp/spark-1/userFiles-2/{}!/a/Class.class"


@pytest.mark.parametrize(
    ("spark", "jar", "meant"),
    [
        ("4.0.1", "org.apache.spark_spark-sql-kafka-0-10_2.13-4.1.1.jar", "4.1"),
        ("4.0.1", "io.delta_delta-spark_4.1_2.13-4.3.0.jar", "4.1"),
        ("4.0.1", "delta-spark_2.13-4.2.0.jar", "4.1"),
        ("4.1.4", "delta-spark_2.13-4.0.1.jar", "4.0"),
    ],
)
def test_a_jar_of_another_spark_is_named(spark: str, jar: str, meant: str) -> None:
    assert list(jar_faults(spark, {"it": PLACE.format(jar)})) == [f"{jar} is for Spark {meant}, this is Spark {spark}"]


@pytest.mark.parametrize("spark", list(RELEASES))
def test_the_jars_of_each_release_fit_it(spark: str) -> None:
    jars = ["-".join(coordinate.split(":")[1:]) + ".jar" for coordinate in spark_coordinates(spark)]
    assert list(jar_faults(f"{spark}.1", {jar: PLACE.format(jar) for jar in jars})) == []


def test_a_jar_that_is_missing_is_named_and_one_of_an_unknown_name_is_taken() -> None:
    found = {"Delta": None, "the Kafka source": "jar:file:/usr/lib/spark/jars/vendor.jar!/x.class"}
    assert list(jar_faults("4.1.2", found)) == ["Delta is not on the class path of Spark 4.1.2"]


def test_the_jars_of_this_session_fit(spark: SparkSession) -> None:
    require_fitting_jars(spark._jvm)
