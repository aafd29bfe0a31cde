"""What the history keeps of messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from pyspark.sql import Row

from bytemeter.feeds import DATA_RECORDS, DEVICES
from bytemeter.history import history_rows
from tests.bytemeter.test_parsing import text
from tests.bytemeter.test_plan_parsing import record

SCHEMA = "partition int, offset long, value binary"

Run = Callable[..., list[Row]]


def test_valid_records_are_kept_with_position_and_event_time(run: Run) -> None:
    at = dt.datetime(2026, 11, 21, 23, 59, 59, tzinfo=dt.UTC)
    messages = [(2, 7, text(timestamp=int(at.timestamp()))), (2, 8, text(bytes=None))]
    (row,) = run(history_rows(DEVICES), messages, SCHEMA)
    assert (row.partition, row.offset, row.bytes, row.app, row.event_id) == (2, 7, 9082, "SKYPE", None)
    assert (row.event_date, row.event_hour) == (at.date(), 23)
    assert row.event_time.timestamp() == at.timestamp()
    assert "value" not in row


def test_event_times_keep_their_microseconds(run: Run) -> None:
    messages = [(0, 1, record(recordedAt="2020-01-01T00:00:00.000001+01:00[Europe/Warsaw]"))]
    (row,) = run(
        lambda them: history_rows(DATA_RECORDS)(them).selectExpr("unix_micros(event_time) as us"), messages, SCHEMA
    )
    assert row.us == 1_577_833_200_000_001
