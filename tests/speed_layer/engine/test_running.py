"""The error with which a query ended: our own if there is one, else Spark's."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException

from bytemeter.errors import BytemeterError
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.running import ErrorCapture, RunningQuery

OURS = BytemeterError("ours")


def raising(error: Exception) -> Callable[..., None]:
    def function(*_: object) -> None:
        raise error

    return function


def ended_query(
    *, commit: Exception | None = None, batch: Exception | None = None, spark: str | None = None
) -> RunningQuery:
    """A query that ended after these errors of its commit and its micro-batch, and with this error text of Spark."""
    commits, batches = CommitQueue(), ErrorCapture(raising(batch) if batch else lambda *_: None)
    if commit:
        commits.submit(raising(commit))
    commits.close()
    if batch:
        with pytest.raises(type(batch)):
            batches(None, 0)
    spark_error = PySparkException(spark) if spark else None
    java = SimpleNamespace(exception=lambda: SimpleNamespace(get=lambda: None))
    query = SimpleNamespace(name="q", isActive=False, exception=lambda: spark_error, _jsq=java)
    return RunningQuery(query, batches, commits)


def test_a_query_without_an_error_raises_nothing() -> None:
    ended_query().raise_error()


def test_the_error_of_a_commit_is_raised_before_spark_notices() -> None:
    with pytest.raises(BytemeterError, match="^ours$"):
        ended_query(commit=OURS).raise_error()


def test_the_error_of_a_micro_batch_is_raised_instead_of_sparks() -> None:
    with pytest.raises(BytemeterError, match="^ours$"):
        ended_query(batch=OURS, spark="a trace").raise_error()


def test_any_other_error_is_sparks() -> None:
    with pytest.raises(ZeroDivisionError):
        ended_query(batch=ZeroDivisionError(), spark="a trace").raise_error()
    with pytest.raises(PySparkException, match="a trace"):
        ended_query(spark="a trace").raise_error()
