"""The jars of Spark's connectors."""

from __future__ import annotations

import re

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.jars import GCS, LOCAL_FILES, resolve, spark_coordinates, spark_jars
from bytemeter.versions import minor


@pytest.mark.parametrize(("spark", "delta"), [("4.0.5", "delta-spark_2.13"), ("4.1", "delta-spark_4.1_2.13")])
def test_a_cluster_needs_the_connectors_of_its_spark_only(spark: str, delta: str) -> None:
    coordinates = spark_coordinates(spark)
    assert [coordinate.split(":")[1] for coordinate in coordinates] == [
        "spark-sql-kafka-0-10_2.13",
        delta,
        "postgresql",
    ]
    assert minor(coordinates[0].rpartition(":")[2]) == minor(spark)
    assert all(re.fullmatch(r"[\w.\-]+:[\w.\-]+:[\d.]+", coordinate) for coordinate in coordinates)
    assert not {LOCAL_FILES, GCS} & set(coordinates)


def test_a_local_session_gets_the_connectors_and_nothing_that_pyspark_has() -> None:
    names = {jar.name for jar in spark_jars()}
    for coordinate in (*spark_coordinates(), LOCAL_FILES):
        _, artifact, version = coordinate.split(":")
        assert f"{artifact}-{version}.jar" in names
    assert not [name for name in names if name.startswith(("scala-library", "spark-core", "spark-sql_"))]


def test_another_spark_is_refused_in_one_line() -> None:
    for version in ("3.5.6", "4.2.0", "10.4.1"):
        with pytest.raises(BytemeterError, match=f"^Spark {version} is not supported, expected 4.0 or 4.1; [^\n]*$"):
            spark_coordinates(version)


def test_certificates_of_a_proxy_that_are_unknown_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        # As ssl tells it, within the errors of urllib3 and requests.
        raise OSError(
            "SSLError(SSLCertVerificationError(1, '[SSL] certificate verify failed: self-signed (_ssl.c:1)'))"
        )

    monkeypatch.setattr("jgo.build", fail)
    with pytest.raises(BytemeterError, match=r"; .* name the file with them in REQUESTS_CA_BUNDLE$"):
        resolve(("behind.a:proxy:1",))


def test_an_artifact_that_does_not_exist_is_reported_in_one_line() -> None:
    with pytest.raises(BytemeterError, match="^could not resolve the jars no.such:artifact:1: [^\n]*M2_REPO\\)$"):
        resolve(("no.such:artifact:1",))
