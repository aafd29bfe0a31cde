"""Why a query ended: told in our own words where there are any."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from pyspark.errors import PySparkException

from bytemeter.errors import BytemeterError, TransientError
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.running import ErrorCapture, RunningQuery

OURS = BytemeterError("ours")
AWAY = "Caused by: java.net.ConnectException: Connection refused"
BUCKET_AWAY = "OSError: google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"


def raising(error: Exception) -> Callable[..., None]:
    def function(*_: object) -> None:
        raise error

    return function


def query(*, commit: Exception | None = None, batch: Exception | None = None, told: str | None = None) -> RunningQuery:
    """A query of Spark that ended with this text, if it ended, after what its batch and its commit raised."""
    commits, batches = CommitQueue(), ErrorCapture(raising(batch) if batch else lambda *_: None)
    if commit:
        commits.submit(raising(commit))
    commits.close()
    if batch:
        with pytest.raises(type(batch)):
            batches(None, 0)
    ended = PySparkException(told) if told else None
    return RunningQuery(SimpleNamespace(name="q", isActive=False, exception=lambda: ended), batches, commits)


def test_a_query_that_did_not_fail_tells_nothing() -> None:
    query().raise_failure()


def test_what_a_commit_raised_is_told_before_spark_notices() -> None:
    with pytest.raises(BytemeterError, match="^ours$"):
        query(commit=OURS).raise_failure()


def test_what_a_micro_batch_raised_is_told_instead_of_sparks_text() -> None:
    with pytest.raises(BytemeterError, match="^ours$"):
        query(batch=OURS, told=f"a trace\n{AWAY}").raise_failure()


@pytest.mark.parametrize("away", [AWAY, BUCKET_AWAY])
def test_a_server_that_is_away_is_told_in_one_line(away: str) -> None:
    trace = PySparkException(f"a trace\n    {away}\nmore")
    for lost in (query(commit=trace), query(batch=trace, told="a trace"), query(told=str(trace))):
        with pytest.raises(TransientError, match="^the query q lost a server: [jO].*") as caught:
            lost.raise_failure()
        assert "\n" not in str(caught.value)


def test_any_other_error_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        query(batch=ZeroDivisionError(), told="a trace").raise_failure()
    with pytest.raises(PySparkException, match="a trace"):
        query(told="a trace").raise_failure()
