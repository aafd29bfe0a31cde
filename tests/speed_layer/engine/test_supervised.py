"""A query is started again after an outage, in growing pauses; what a restart cannot mend ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from bytemeter.errors import BytemeterError, TransientError
from speed_layer.engine import supervised as module
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.running import ErrorCapture, RunningQuery
from speed_layer.engine.supervised import Outage, Supervised

AWAY = TransientError("PostgreSQL is away")
DEADLINE_S = 20


def query(*, active: bool = False) -> RunningQuery:
    """A query that has read all, or that waits for messages."""
    java = SimpleNamespace(exception=lambda: SimpleNamespace(get=lambda: None))
    spark = SimpleNamespace(name="q", isActive=active, exception=lambda: None, _jsq=java)
    return RunningQuery(spark, ErrorCapture(lambda *_: None), CommitQueue())


def starting(*outcomes: RunningQuery | Exception) -> tuple[Callable[[ExitStack], RunningQuery], list[str]]:
    """A function whose first call has the first outcome, and so on, and what was opened and closed."""
    left, seen = list(outcomes), list[str]()

    def start(resources: ExitStack) -> RunningQuery:
        seen.append("opened")
        resources.callback(seen.append, "closed")
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return start, seen


def lost(error: Exception) -> RunningQuery:
    """A query that fails as soon as it runs."""
    running = query(active=True)
    running.commits.submit(lambda: (_ for _ in ()).throw(error))
    return running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    monkeypatch.setattr(Outage, "_pause_s", 0.01, raising=False)


def supervised(start: Callable[[ExitStack], RunningQuery], **given: Any) -> Supervised:
    return Supervised("q", start, given.get("ending", threading.Event()), once=given.get("once", False))


def test_a_query_that_ends_is_not_started_again() -> None:
    start, seen = starting(query())
    running = supervised(start)
    running.run()
    assert seen == ["opened", "closed"]
    assert running.begun.is_set()


def test_a_server_that_was_never_there_is_an_error() -> None:
    start, seen = starting(AWAY)
    with pytest.raises(TransientError, match="is away"):
        supervised(start).run()
    assert seen == ["opened", "closed"]


def test_an_outage_is_waited_out_and_everything_is_opened_anew() -> None:
    start, seen = starting(lost(AWAY), AWAY, AWAY, query())
    supervised(start).run()
    assert seen == ["opened", "closed"] * 4


def test_once_an_outage_ends_the_query() -> None:
    start, _ = starting(lost(AWAY))
    with pytest.raises(TransientError, match="is away"):
        supervised(start, once=True).run()


def test_what_a_restart_cannot_mend_ends_the_query() -> None:
    start, seen = starting(lost(BytemeterError("overtaken")))
    with pytest.raises(BytemeterError, match="overtaken"):
        supervised(start).run()
    assert seen == ["opened", "closed"]


def test_an_error_of_a_query_that_is_to_end_is_none() -> None:
    ending = threading.Event()
    start, _ = starting(query(active=True))

    def start_and_fail_at_the_end(resources: ExitStack) -> RunningQuery:
        running = start(resources)
        resources.callback(lambda: (_ for _ in ()).throw(ConnectionError("the JVM has gone")))
        ending.set()
        return running

    supervised(start_and_fail_at_the_end, ending=ending).run()


def test_pauses_grow_to_half_a_minute_and_a_line_a_minute_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    now, pauses = 1_000.0, []
    outage = Outage("q", clock=lambda: now)
    for _ in range(10):
        pauses.append(outage.next_pause("away"))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    waited = [line.rpartition("waited_s=")[2] for line in capsys.readouterr().err.splitlines()]
    assert waited == ["0", "61", "121"]


def test_after_half_a_minute_without_an_error_pauses_are_short_again() -> None:
    outage = Outage("q", clock=lambda: 0.0)
    first = [outage.next_pause("away") for _ in range(3)]
    outage.note_running(for_s=29)
    assert outage.next_pause("away") == 2 * first[-1]
    outage.note_running(for_s=31)
    assert outage.next_pause("away") == module._FIRST_PAUSE_S
