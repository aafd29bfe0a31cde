"""Every query of ``sql/queries`` answers by psql, and says what it shall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bytemeter.settings import Settings
from bytemeter.sql import SQL
from stack.cli import main
from tests.commands import endpoints
from tests.integration.plans import agreement, record

QUERIES = sorted((SQL / "queries").glob("*.sql"))


@pytest.fixture
def ask(place: Settings, capfd: pytest.CaptureFixture[str]) -> Callable[[str], list[list[str]]]:
    """The rows that psql prints for a query."""

    def asked(name: str) -> list[list[str]]:
        capfd.readouterr()
        arguments = ["psql", "-At", "-v", "ON_ERROR_STOP=1", "-v", "msisdn=48917846822"]
        assert main([*endpoints(place), *arguments, "-f", str(SQL / "queries" / f"{name}.sql")]) == 0, name
        return [line.split("|") for line in capfd.readouterr().out.splitlines()]

    return asked


def test_every_query_answers(ask: Callable[[str], Any]) -> None:
    for path in QUERIES:
        ask(path.stem)
        assert path.read_text().startswith("-- "), f"{path.stem} does not say what it tells"


def test_the_queries_on_data_plans(
    ask: Callable[[str], list[list[str]]], send_plans: Callable[..., None], rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    ((now,),) = rows("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    send_plans(
        [agreement(), agreement("b", msisdn="48000000000", maxBytesInBillingPeriod=10_000)],
        [record("1", 900, now), record("2", 300, now), record("3", 1_000, now, msisdn="48000000000")],
    )
    (over,) = ask("plans_over_now")
    assert (over[0], over[1], over[5], over[7]) == ("48917846822", "a", "1200", "120.0")
    assert [(row[1], row[5]) for row in ask("plans_progress")] == [("a", "120.0"), ("b", "10.0")]
    events = ask("plan_events_of_msisdn")
    assert [(row[0], row[1], row[3], row[4]) for row in events] == [
        ("DATA_PLAN_THRESHOLD_REACHED", "50", "900", "i-1"),
        ("DATA_PLAN_THRESHOLD_REACHED", "80", "900", "i-1"),
        ("DATA_PLAN_EXCEEDED", "100", "1200", "i-2"),
    ]
    assert [row[1:3] for row in ask("plan_thresholds")] == [["50", "1"], ["80", "1"], ["100", "1"]]
