"""The error with which a query ended: our own if there is one, else Spark's, explained in one line."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException

from bytemeter.errors import BytemeterError, TransientError
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.running import ErrorCapture, RunningQuery

OURS = BytemeterError("ours")
BROKER_AWAY = "Caused by: java.net.ConnectException: Connection refused"
BUCKET_AWAY = "OSError: google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"


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
    return RunningQuery(SimpleNamespace(name="q", isActive=False, exception=lambda: spark_error), batches, commits)


def test_a_query_without_an_error_raises_nothing() -> None:
    ended_query().raise_error()


def test_the_error_of_a_commit_is_raised_before_spark_notices() -> None:
    with pytest.raises(BytemeterError, match="^ours$"):
        ended_query(commit=OURS).raise_error()


def test_the_error_of_a_micro_batch_is_raised_instead_of_sparks() -> None:
    with pytest.raises(BytemeterError, match="^ours$"):
        ended_query(batch=OURS, spark=f"a trace\n{BROKER_AWAY}").raise_error()


@pytest.mark.parametrize("away", [BROKER_AWAY, BUCKET_AWAY])
def test_an_unreachable_server_is_reported_in_one_line(away: str) -> None:
    trace = PySparkException(f"a trace\n    {away}\nmore")
    for query in (ended_query(commit=trace), ended_query(batch=trace, spark="a trace"), ended_query(spark=str(trace))):
        with pytest.raises(TransientError, match="^the query q lost a server: [jO].*") as caught:
            query.raise_error()
        assert "\n" not in str(caught.value)


def test_a_missing_table_is_reported_with_the_remedy() -> None:
    trace = 'a trace\norg.postgresql.util.PSQLException: ERROR: relation "ledger" does not exist\nmore'
    with pytest.raises(BytemeterError) as caught:
        ended_query(spark=trace).raise_error()
    assert str(caught.value) == (
        "the query q needs a table that is missing: org.postgresql.util.PSQLException: "
        'ERROR: relation "ledger" does not exist; run `bytemeter migrate`'
    )


def test_any_other_error_is_raised_unchanged() -> None:
    with pytest.raises(ZeroDivisionError):
        ended_query(batch=ZeroDivisionError(), spark="a trace").raise_error()
    with pytest.raises(PySparkException, match="a trace"):
        ended_query(spark="a trace").raise_error()
