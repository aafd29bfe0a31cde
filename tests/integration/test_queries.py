"""Every query of ``sql/queries`` answers by psql, and says what it shall."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bytemeter.feeds import DEVICES, TELEMETRY
from bytemeter.settings import Settings
from bytemeter.sql import SQL
from bytemeter.telemetry.topics import DUPLICATE, RAW, UNIQUE
from cli.main import main
from simulator.traffic import Sent
from tests.builders import agreement, record
from tests.commands import endpoints
from tests.telemetry import create_topics
from tests.telemetry_events import event

Rows = Callable[..., list[tuple[Any, ...]]]
QUERIES = sorted((SQL / "queries").glob("*.sql"))


@pytest.fixture
def now(rows: Rows) -> str:
    """The database's time, as of the test's start."""
    ((now,),) = rows("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    return str(now)


@pytest.fixture
def ask(place: Settings, capfd: pytest.CaptureFixture[str], now: str) -> Callable[[str], list[list[str]]]:
    """The rows that psql prints for a query."""
    variables = {"ON_ERROR_STOP": "1", "msisdn": "48917846822", "email": "user01@example.com", "day": now[:10]}
    given = [argument for name, value in variables.items() for argument in ("-v", f"{name}={value}")]

    def asked(name: str) -> list[list[str]]:
        capfd.readouterr()
        assert main([*endpoints(place), "psql", "-At", *given, "-f", str(SQL / "queries" / f"{name}.sql")]) == 0, name
        return [line.split("|") for line in capfd.readouterr().out.splitlines()]

    return asked


def device(timestamp: int, *, bytes_: int) -> bytes:
    """A record of a phone, always with the same id."""
    fields = {"bytes": bytes_, "timestamp": timestamp, "app": "SKYPE", "id": "phone", "antenna_id": "antenna"}
    return json.dumps({**fields, "event_id": "same"}).encode()


def test_every_query_tells_something(
    place: Settings,
    ask: Callable[[str], list[list[str]]],
    simulate: Callable[..., Sent],
    put: Callable[..., None],
    send_plans: Callable[..., None],
    stream: Callable[..., None],
    recompute: Callable[..., object],
    rows: Rows,
    now: str,
) -> None:
    sent = simulate(3_000, late=0.02, invalid=0.02)
    ((recent,),) = rows("select extract(epoch from now())::bigint - 60")
    put([device(recent, bytes_=10), device(recent, bytes_=20)])
    rows("update user_metadata set quota = 1000 returning id")
    create_topics(place)
    put([event("START", "t1"), event("START", "t1")], topic=RAW)
    stream(DEVICES, TELEMETRY)
    recompute()
    send_plans([agreement()], [record("1", 1_200, now)])
    told = {path.stem: ask(path.stem) for path in QUERIES}
    assert [name for name, answer in told.items() if not answer] == []
    assert all(path.read_text().startswith("-- ") for path in QUERIES)
    counted = ("agreements", "data-records", "devices", "telemetry")
    assert {row[0]: row[1] for row in told["freshness"]} == dict.fromkeys(counted, "0")
    funnel = [
        ["telemetry.raw", "2"],
        *([topic, "1"] for topic in sorted((DUPLICATE, UNIQUE, "telemetry.unique.primary"))),
    ]
    assert told["telemetry_funnel"] == funnel
    assert sum(int(row[2]) for row in told["invalid_by_reason"]) == sent.invalid
    assert [row[2:] for row in told["duplicates"] if row[0] == "devices"] == [["1", "1"]]
    assert {row[0]: row[3] for row in told["last_recompute"]} == {"devices": "0", "telemetry": "1"}
    user_day = rows(
        "select sum(value) from bytes_hourly where id = 'user01@example.com' and timestamp::date = now()::date"
    )
    assert [(sum(int(row[1]) for row in told["user_day"]),)] == user_day


def test_the_queries_on_data_plans(
    ask: Callable[[str], list[list[str]]], send_plans: Callable[..., None], now: str
) -> None:
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
