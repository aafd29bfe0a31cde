"""The demo's screen."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import Engine

from demo.demo import seconds
from demo.figures import read_figures
from demo.screen import panels, readable
from demo.tail import Received

EVENT = {
    "eventId": "e-1",
    "agreementId": "0b12c601-9287-3f5c-a78c-df508fe0f889",
    "type": "DATA_PLAN_EXCEEDED",
    "thresholdPercent": 100,
    "totalRecordedBytes": 5_697_948_758,
    "maxBytesInBillingPeriod": 5_368_709_120,
    "latestRecordedAt": "2020-01-11T00:00:00+01:00",
}

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (12_345_678, "12.3 MB"), (None, "-")]
)
def test_bytes_are_readable(value: int | None, shown: str) -> None:
    assert readable(value) == shown


def test_durations() -> None:
    assert [seconds(text) for text in ("20s", "5m", "1h", "7")] == [20, 300, 3600, 7]


def test_the_screen_shows_live_batch_and_breaches(rows: Rows, engine: Engine) -> None:
    hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    before = hour - dt.timedelta(hours=1)
    rows(
        "insert into ledger (feed, partition, topic_id, next_offset, received, counted, invalid) values ('devices', 0, 't', 9, 9, 8, 1) returning 1"
    )
    rows(
        "insert into hours (feed, hour, recomputed_version) values ('devices', :a, 1), ('devices', :b, null) returning 1",
        a=before,
        b=hour,
    )
    user = "00000000-0000-0000-0000-000000000004"
    for at in (before, hour):
        for type_, id_ in (
            ("antenna_bytes_total", "antenna-7"),
            ("app_bytes_total", "MAPS"),
            ("user_bytes_total", user),
        ):
            rows("insert into bytes values (:type, :id, :at, 7000000) returning 1", type=type_, id=id_, at=at)
    rows(
        "insert into bytes_hourly values ('antenna_bytes_total', 'antenna-7', :at, 6500000) returning 1",
        at=before,
    )
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(*panels(read_figures(engine), [Received(2, 17, EVENT)], rate=12))
    shown = console.export_text()
    for expected in (
        "received 9 = counted 8 + duplicate 0 + invalid 1",
        "12 records/s",
        "antenna-7",
        "MAPS",
        "13.5 MB",
        "6.5 MB",
        "2:17",
        "DATA_PLAN_EXCEEDED 100 %",
        "5.7 GB",
        '"eventId": "e-1"',
    ):
        assert expected in shown
    assert "user04@example.com" in shown
    console.file.close()


def test_the_screen_shows_telemetrys_funnel_once_there_is_some(rows: Rows, engine: Engine) -> None:
    def shown() -> str:
        console = Console(record=True, width=160, file=io.StringIO())
        console.print(*panels(read_figures(engine), [], 0))
        return console.export_text()

    assert "unique" not in shown()
    rows(
        "insert into ledger (feed, partition, topic_id, next_offset, received, counted, duplicate, invalid) values"
        " ('telemetry', 0, 't', 17, 17, 9, 1, 7) returning 1"
    )
    rows(
        "insert into routed_messages values ('telemetry', 'telemetry.unique', 10),"
        " ('telemetry-batches', 'telemetry.failed', 2), ('telemetry', 'telemetry.failed', 7) returning 1"
    )
    assert "raw 17  ▸  unique 10   failed 9   duplicate 0   log 0   error 0" in shown()
