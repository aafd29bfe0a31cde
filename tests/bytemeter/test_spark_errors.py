"""Errors of Spark in one line: outages, refusals and faults are told apart by the classes of their causes."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from bytemeter.cluster_jars import remedy
from bytemeter.errors import BytemeterError, TransientError, UnknownHostError
from bytemeter.executors import map_tables
from bytemeter.spark_errors import explained
from bytemeter.versions import installed_spark

Thrown = Callable[..., Exception]


@pytest.fixture
def thrown(spark: SparkSession) -> Thrown:
    """An error of Spark with a chain of causes, each given as its class and the arguments of its constructor."""

    def error(*causes: tuple[Any, ...]) -> Exception:
        java = None
        for name, *arguments in reversed(causes):
            chain = [java] if java is not None else []
            java = getattr(spark._jvm, name)(*arguments, *chain)
        try:
            spark._jvm.scala.util.Failure(java).get()
        except (Py4JJavaError, PySparkException) as raised:
            return raised
        raise AssertionError("a failure without an error")

    return error


SPARK, KAFKA = "org.apache.spark.SparkException", "org.apache.kafka.common"


@pytest.mark.parametrize(
    ("causes", "kind", "line"),
    [
        (
            [(SPARK, "Job aborted"), ("java.net.ConnectException", "Connection refused")],
            TransientError,
            "the query q lost a server: java.net.ConnectException: Connection refused",
        ),
        (
            [("java.util.concurrent.ExecutionException", "e"), (f"{KAFKA}.errors.TimeoutException", "no answer")],
            TransientError,
            f"the query q lost a server: {KAFKA}.errors.TimeoutException: no answer",
        ),
        (
            [(f"{KAFKA}.errors.SaslAuthenticationException", "Authentication failed")],
            BytemeterError,
            f"the query q was refused by Kafka: {KAFKA}.errors.SaslAuthenticationException: Authentication failed; check "
            "BYTEMETER_KAFKA_SASL_* and BYTEMETER_KAFKA_SSL_CA_LOCATION",
        ),
        (
            [
                (SPARK, "Job aborted"),
                (f"{KAFKA}.errors.TopicAuthorizationException", "Not authorized to access topics"),
            ],
            BytemeterError,
            f"the query q was refused by Kafka: {KAFKA}.errors.TopicAuthorizationException: Not authorized to access "
            "topics; let its administrator allow the user to read the topic (ACL)",
        ),
        (
            [
                (f"{KAFKA}.KafkaException", "Record batch is invalid"),
                (f"{KAFKA}.errors.CorruptRecordException", "bad crc"),
            ],
            BytemeterError,
            f"the query q read a corrupt batch: {KAFKA}.errors.CorruptRecordException: bad crc; restore the topic's log "
            "from a replica or a backup",
        ),
        (
            [
                (f"{KAFKA}.KafkaException", "no client"),
                (f"{KAFKA}.config.ConfigException", "No resolvable bootstrap urls"),
            ],
            UnknownHostError,
            f"the query q cannot use its servers: {KAFKA}.config.ConfigException: No resolvable bootstrap urls; check "
            "BYTEMETER_KAFKA",
        ),
        (
            [(SPARK, "Job aborted"), ("java.io.IOException", "No space left on device")],
            TransientError,
            "the query q found a disk full: java.io.IOException: No space left on device; make room",
        ),
        (
            [(SPARK, "Job aborted"), ("java.lang.NoSuchMethodError", "org.apache.spark.sql.Gone.gone()")],
            BytemeterError,
            "the query q has jars of versions that do not fit each other: java.lang.NoSuchMethodError: "
            f"org.apache.spark.sql.Gone.gone(); {remedy(installed_spark())}",
        ),
        (
            [(SPARK, "Job aborted"), ("java.lang.OutOfMemoryError", "Java heap space")],
            BytemeterError,
            "the query q ran out of memory: java.lang.OutOfMemoryError: Java heap space; raise BYTEMETER_DRIVER_MEMORY, or "
            "lower BYTEMETER_MAX_RECORDS_PER_BATCH",
        ),
        (
            [("java.sql.SQLException", "the database system is starting up", "57P03")],
            TransientError,
            "the query q lost PostgreSQL: java.sql.SQLException: the database system is starting up",
        ),
        (
            [("java.sql.SQLException", 'relation "x" does not exist', "42P01")],
            BytemeterError,
            'the query q needs a table: java.sql.SQLException: relation "x" does not exist; run `bytemeter migrate`',
        ),
    ],
    ids=lambda value: value[-1][0] if isinstance(value, list) else None,
)
def test_an_error_is_known_by_its_causes(
    thrown: Thrown, causes: list[tuple[str, ...]], kind: type[BytemeterError], line: str
) -> None:
    known = explained(thrown(*causes), "the query q")
    assert type(known) is kind
    assert str(known) == line


def test_a_fault_of_ours_is_not_explained(thrown: Thrown) -> None:
    assert explained(thrown((SPARK, "Job aborted"), ("java.lang.NullPointerException", "a bug")), "the query q") is None
    assert explained(ZeroDivisionError(), "the query q") is None


def test_a_python_worker_that_is_killed_ends_the_job(spark: SparkSession) -> None:
    def die(_: pa.Table) -> pa.Table:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    with pytest.raises((PySparkException, Py4JJavaError)) as failed:
        map_tables(spark.range(1), die, "id long").collect()
    known = explained(failed.value, "the job")
    assert type(known) is BytemeterError
    assert str(known).startswith("the job lost a Python worker: org.apache.spark.SparkException: Python worker exited")
    assert "\n" not in str(known)


def test_memory_that_a_task_does_not_get_is_known(spark: SparkSession) -> None:
    def grow(_: pa.Table) -> pa.Table:
        return pa.table({"id": [len(bytearray(2**62))]})

    with pytest.raises((PySparkException, Py4JJavaError)) as failed:
        map_tables(spark.range(1), grow, "id long").collect()
    known = explained(failed.value, "the job")
    assert type(known) is BytemeterError
    assert str(known).startswith("the job ran out of memory: MemoryError: ")
    assert "\n" not in str(known)


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            TransientError,
            "the job found a disk full: OSError: [Errno 28] No space left on device; make room",
        ),
        (
            OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"),
            TransientError,
            "the job lost a server: OSError: google::cloud::Status(UNAVAILABLE: Retry policy exhausted)",
        ),
        (
            MemoryError("no room for 8 GiB"),
            BytemeterError,
            "the job ran out of memory: MemoryError: no room for 8 GiB; raise BYTEMETER_DRIVER_MEMORY, or lower "
            "BYTEMETER_MAX_RECORDS_PER_BATCH",
        ),
    ],
    ids=["disk full", "bucket away", "out of memory"],
)
def test_an_error_of_a_python_worker_is_known_as_one_of_the_driver(
    spark: SparkSession, error: Exception, kind: type[BytemeterError], line: str
) -> None:
    def fail(_: pa.Table) -> pa.Table:
        raise error

    with pytest.raises((PySparkException, Py4JJavaError)) as failed:
        map_tables(spark.range(1), fail, "id long").collect()
    for known in (explained(failed.value, "the job"), explained(error, "the job")):
        assert type(known) is kind
    assert str(explained(failed.value, "the job")) == line
