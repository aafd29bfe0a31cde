"""The mains that spark-submit runs: the same queries and recompute, by arguments alone."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession
from sqlalchemy.engine import make_url

from batch_layer.jobs import hourly_usage
from bytemeter.settings import Settings
from simulator.traffic import Sent
from speed_layer.jobs import stream_usage

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
