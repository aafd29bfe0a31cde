"""What the history keeps of messages, and the files that it is in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import Row

from bytemeter.feeds import DATA_RECORDS, DEVICES, Feed
from bytemeter.history.writing import Written, history_files, kept
from tests.messages import data_record, device

SCHEMA = "partition int, offset long, value binary"
HOUR = dt.datetime(2026, 11, 21, 23, tzinfo=dt.UTC)
HOUR_S = int(HOUR.timestamp())

Run = Callable[..., list[Row]]


def of(feed: Feed, *values: bytes) -> list[dict[str, Any]]:
    """What is kept of messages of one partition."""
    messages = {"partition": [2] * len(values), "offset": [*range(len(values))], "value": [*values]}
    rows: list[dict[str, Any]] = kept(feed, pa.table(messages)).to_pylist()
    return rows


def test_valid_records_are_kept_with_position_and_event_time() -> None:
    (row,) = of(DEVICES, device(bytes=None), device(timestamp=HOUR_S + 3_599))
    assert (row["partition"], row["offset"], row["bytes"], row["app"], row["event_id"]) == (2, 1, 9082, "SKYPE", None)
    assert row["event_time"] == HOUR + dt.timedelta(seconds=3_599)
    assert "value" not in row


def test_event_times_keep_their_microseconds() -> None:
    (row,) = of(DATA_RECORDS, data_record(recordedAt="2020-01-01T00:00:00.000001+01:00[Europe/Warsaw]"))
    assert row["event_time"] == dt.datetime(2019, 12, 31, 23, 0, 0, 1, dt.UTC)


def test_each_hour_has_files_of_its_own_in_the_order_of_the_messages(run: Run, tmp_path: Path) -> None:
    seconds = [HOUR_S + 5, HOUR_S - 1, HOUR_S + 3_600, HOUR_S, HOUR_S + 3_599, HOUR_S - 3_600]
    messages = [(0, offset, device(timestamp=at)) for offset, at in enumerate(seconds)]
    table = tmp_path / "devices"
    files = [Written(**row.asDict()) for row in run(history_files(DEVICES, str(table)), messages, SCHEMA)]
    offsets: dict[str, list[int]] = {}
    for file in sorted(files, key=lambda file: file.path):
        rows = parquet.ParquetFile(table / file.path).read().to_pylist()
        assert file.path.startswith(f"event_date={file.event_date}/event_hour={file.event_hour}/part-")
        assert (file.records, file.size) == (len(rows), (table / file.path).stat().st_size)
        within = [row["offset"] for row in rows]
        assert within == sorted(within)
        offsets.setdefault(f"{file.event_date} {file.event_hour}", []).extend(within)
    assert {hour: sorted(found) for hour, found in offsets.items()} == {
        "2026-11-21 22": [1, 5],
        "2026-11-21 23": [0, 3, 4],
        "2026-11-22 0": [2],
    }


def test_nothing_valid_is_no_file(run: Run, tmp_path: Path) -> None:
    assert run(history_files(DEVICES, str(tmp_path / "devices")), [(0, 0, b"rubbish")], SCHEMA) == []
