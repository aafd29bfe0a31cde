"""What the history keeps of parsed messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from pyspark.sql import Row

from bytemeter.feeds import DEVICES
from bytemeter.history import history_rows

SCHEMA = (
    "partition int, offset long, value binary, bytes long, timestamp long, app string, id string, antenna_id string, "
    "event_id string, epoch_s long, reason string"
)


def test_valid_records_are_kept_with_position_and_event_time(run: Callable[..., list[Row]]) -> None:
    at = dt.datetime(2026, 11, 21, 23, 59, 59, tzinfo=dt.UTC)
    epoch_s = int(at.timestamp())
    good = (2, 7, b"raw", 5, epoch_s, "MAPS", "u1", "a1", None, epoch_s, None)
    bad = (2, 8, b"raw", None, epoch_s, "MAPS", "u1", "a1", None, epoch_s, "missing bytes")
    (row,) = run(history_rows(DEVICES), [good, bad], SCHEMA)
    assert (row.partition, row.offset, row.bytes, row.app, row.event_id) == (2, 7, 5, "MAPS", None)
    assert (row.event_date, row.event_hour) == (at.date(), 23)
    assert row.event_time.timestamp() == epoch_s
    assert "value" not in row
