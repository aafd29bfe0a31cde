"""The jobs by their mains, as ``spark-submit`` runs them, and by the commands of ``bytemeter``: both do the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from batch_layer.jobs import hourly_usage, monthly_usage
from bytemeter.feeds import FEEDS
from bytemeter.settings import Settings
from cli.main import main as bytemeter
from simulator.traffic import Sent
from speed_layer.jobs import stream_usage
from tests.buckets import FOLDER_AND_BUCKET
from tests.builders import agreement, record
from tests.commands import endpoints, jdbc_url, signal_handlers_restored

Rows = Callable[..., list[tuple[Any, ...]]]

pytestmark = pytest.mark.usefixtures("_own_signals")


@pytest.fixture
def _own_signals() -> Iterator[None]:
    with signal_handlers_restored():
        yield


@pytest.fixture
def target(place: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options by which a main uses the database and the history of the place, in the session of the test run."""
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    return ["--jdbc-url", jdbc_url(place), "--history", place.require_history()]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[Callable[[list[str]], int], list[str]], list[str]]:
    """Run a main that succeeds; returns the lines that it prints."""

    def run(main: Callable[[list[str]], int], arguments: list[str]) -> list[str]:
        capsys.readouterr()
        assert main(arguments) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_stream_and_hourly(
    place: Settings,
    target: list[str],
    simulate: Callable[..., Sent],
    rows: Rows,
    printed: Callable[..., list[str]],
) -> None:
    sent = simulate(300)
    assert stream_usage.main(["devices", "--kafka", str(place.kafka), *target, "--once"]) == 0
    assert rows("select sum(value) from bytes where type like 'app%'") == [(sent.valid_bytes,)]

    ((first,), *_) = rows("select hour from hours order by hour")
    hour = ["--hour", f"{first:%Y-%m-%dT%H}", "--dry-run"]
    lines = printed(hourly_usage.main, [*target, *hour])
    assert len(lines) > 1
    assert lines[0].startswith(f"devices: {first:%Y-%m-%dT%H} antenna_bytes_total ")
    assert lines == printed(bytemeter, [*endpoints(place), "batch", "hourly", *hour])
    assert rows("select * from bytes_hourly") == []

    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    assert hourly_usage.main([*target, "--from", f"{first:%Y-%m-%dT%H}", "--to", f"{until:%Y-%m-%dT%H}"]) == 0
    assert rows("select sum(value) from bytes_hourly where type like 'app%'") == [(sent.valid_bytes,)]
    assert printed(hourly_usage.main, [*target, "--dirty"]) == [
        f"{feed.name}: 0 hours recomputed, changed 0 totals; 0 quota breaches" for feed in FEEDS.values() if feed.totals
    ]


@FOLDER_AND_BUCKET
def test_monthly(
    place: Settings,
    target: list[str],
    simulate: Callable[..., Sent],
    put: Callable[..., None],
    stream: Callable[..., None],
    rows: Rows,
    printed: Callable[..., list[str]],
) -> None:
    sent = simulate(300, duplicates=0.1)
    put([agreement()], topic="agreements")
    put([record("1", 700)], topic="data-records")
    stream(*FEEDS.values())
    job = ["--kafka", str(place.kafka), *target]
    ((month,),) = rows("select distinct to_char(hour, 'YYYY-MM') from hours")

    lines = printed(monthly_usage.main, [*job, "--month", month, "--dry-run"])
    assert len(lines) > 1
    assert lines == printed(bytemeter, [*endpoints(place), "batch", "monthly", "--month", month, "--dry-run"])
    assert rows("select * from bytes_monthly") == []

    assert monthly_usage.main([*job, "--month", month]) == 0
    by_type = dict(rows("select type, sum(value) from bytes_monthly group by type"))
    assert set(by_type) == {f"{name}_bytes_total" for name in ("antenna", "app", "user", "email")}
    assert set(by_type.values()) == {sent.valid_bytes}
    live = rows("select type, id, sum(value) from bytes group by type, id order by 1, 2")
    assert rows("select type, id, value from bytes_monthly where type <> 'email_bytes_total' order by 1, 2") == live
    assert monthly_usage.main([*job, "--month", "2020-01"]) == 0
    assert rows("select type from threshold_events where source = 'batch'") == [("BILLING_PERIOD_CLOSED",)]


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], spark: SparkSession) -> None:
    target = ["--jdbc-url", "jdbc:postgresql://127.0.0.1:1/d?user=u&password=p", "--history", "/nowhere"]
    assert hourly_usage.main([*target, "--dirty"]) == 1
    assert stream_usage.main(["--kafka", "broker", *target]) == 1
    assert hourly_usage.main([*target, "--hour", "ten"]) == 1
    assert monthly_usage.main(["--kafka", "broker:9092", *target, "--month", "January"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("bytemeter: ") for line in lines] == [True] * 4
    for wrong in ([], target, [*target, "--from", "2026-11-21T10"], [*target, "--dirty", "--hour", "2026-11-21T10"]):
        assert hourly_usage.main(wrong) == 2
