"""The mains that spark-submit runs: the same queries and recompute, by arguments alone."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession
from sqlalchemy.engine import make_url

from batch_layer.jobs import hourly_usage, monthly_usage
from bytemeter.feeds import FEEDS
from bytemeter.settings import Settings
from simulator.traffic import Sent
from speed_layer.jobs import stream_usage
from tests.integration.plans import agreement, record

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def _own_signals() -> Iterator[None]:
    before = {ending: signal.getsignal(ending) for ending in (signal.SIGINT, signal.SIGTERM)}
    yield
    for ending, handler in before.items():
        signal.signal(ending, handler)


def jdbc(place: Settings) -> str:
    url = make_url(place.require_database_url())
    return f"jdbc:postgresql://{url.host}:{url.port}/{url.database}?user={url.username}&password={url.password}"


@pytest.mark.usefixtures("spark", "_own_signals")
def test_stream_and_hourly_by_their_mains(
    place: Settings, simulate: Callable[..., Sent], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    sent = simulate(300)
    where = ["--jdbc-url", jdbc(place), "--history", place.require_history()]
    assert stream_usage.main(["devices", "--kafka", str(place.kafka), *where, "--once"]) == 0
    assert rows("select sum(value) from bytes where type like 'app%'") == [(sent.valid_bytes,)]
    ((first,), *_) = rows("select hour from hours order by hour")
    assert hourly_usage.main([*where, "--hour", f"{first:%Y-%m-%dT%H}", "--dry-run"]) == 0
    assert rows("select * from bytes_hourly") == []
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    assert hourly_usage.main([*where, "--from", f"{first:%Y-%m-%dT%H}", "--to", f"{until:%Y-%m-%dT%H}"]) == 0
    assert rows("select sum(value) from bytes_hourly where type like 'app%'") == [(sent.valid_bytes,)]
    assert hourly_usage.main([*where, "--dirty"]) == 0


@pytest.mark.usefixtures("spark", "_own_signals")
def test_monthly_by_its_main(
    place: Settings,
    simulate: Callable[..., Sent],
    put: Callable[..., None],
    stream: Callable[..., None],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    sent = simulate(300, duplicates=0.1)
    put([agreement()], topic="agreements")
    put([record("1", 700)], topic="data-records")
    stream(*FEEDS.values())
    job = ["--kafka", str(place.kafka), "--jdbc-url", jdbc(place), "--history", place.require_history(), "--month"]
    ((month,),) = rows("select distinct to_char(hour, 'YYYY-MM') from hours")
    assert monthly_usage.main([*job, month, "--dry-run"]) == 0
    assert rows("select * from bytes_monthly") == []
    assert monthly_usage.main([*job, month]) == 0
    by_type = dict(rows("select type, sum(value) from bytes_monthly group by type"))
    assert set(by_type) == {f"{name}_bytes_total" for name in ("antenna", "app", "user", "email")}
    assert set(by_type.values()) == {sent.valid_bytes}
    live = rows("select type, id, sum(value) from bytes group by type, id order by 1, 2")
    assert rows("select type, id, value from bytes_monthly where type <> 'email_bytes_total' order by 1, 2") == live
    assert monthly_usage.main([*job, "2020-01"]) == 0
    assert rows("select type from threshold_events where source = 'batch'") == [("BILLING_PERIOD_CLOSED",)]
    assert monthly_usage.main([*job, "January"]) == 1


def test_a_job_tells_what_is_wrong(capsys: pytest.CaptureFixture[str], spark: SparkSession) -> None:
    where = ["--jdbc-url", "jdbc:postgresql://127.0.0.1:1/d?user=u&password=p", "--history", "/nowhere"]
    assert hourly_usage.main([*where, "--dirty"]) == 1
    assert stream_usage.main(["--kafka", "broker", *where]) == 1
    assert hourly_usage.main([*where, "--hour", "ten"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("bytemeter: ") for line in lines] == [True] * 3
    for wrong in ([], [*where], [*where, "--from", "2026-11-21T10"]):
        with pytest.raises(SystemExit) as ended:
            hourly_usage.main(wrong)
        assert ended.value.code == 2
