"""What the history keeps of messages, and the files that it is in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pyspark.sql import DataFrame, Row, SparkSession

from bytemeter.feeds import DATA_RECORDS, DEVICES, Feed
from bytemeter.history.writing import HistoryFiles, Written, gather, kept, refused, results_of
from bytemeter.parsing import parse
from tests.histories import MESSAGES, RECEIVED, as_written, messages_of
from tests.messages import data_record, device

HOUR = dt.datetime(2026, 11, 21, 23, tzinfo=dt.UTC)
HOUR_S = int(HOUR.timestamp())

Run = Callable[..., list[Row]]


def files_in(folder: Path, ends: dict[int, int] | None = None) -> Callable[[DataFrame], DataFrame]:
    """The transformation that writes files of devices below a folder."""
    return HistoryFiles(DEVICES, str(folder / "devices"), str(folder / "devices.invalid"), 2**30, ends or {}).of


def files_of(rows: list[Row]) -> list[Written]:
    """The files that tasks have written, and those of what they have handed over."""
    written, remainders = results_of({name: row[name] for name in row.asDict() if name != "read"} for row in rows)
    return [*written, *gather(remainders)]


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
    messages = [(0, offset, device(timestamp=at), b"key", RECEIVED) for offset, at in enumerate(seconds)]
    table = tmp_path / "devices"
    files = files_of(run(files_in(tmp_path), messages, MESSAGES))
    offsets: dict[str, list[int]] = {}
    for file in sorted(files, key=lambda file: file.path):
        rows = parquet.ParquetFile(table / file.path).read().to_pylist()
        date, hour, _ = (part.removeprefix("event_date=").removeprefix("event_hour=") for part in file.path.split("/"))
        assert (file.table, file.records, file.size) == (str(table), len(rows), (table / file.path).stat().st_size)
        within = [row["offset"] for row in rows]
        assert within == sorted(within)
        offsets.setdefault(f"{date} {hour}", []).extend(within)
    assert {hour: sorted(found) for hour, found in offsets.items()} == {
        "2026-11-21 22": [1, 5],
        "2026-11-21 23": [0, 3, 4],
        "2026-11-22 0": [2],
    }


def test_nothing_valid_is_no_file_of_records(run: Run, tmp_path: Path) -> None:
    files = files_of(run(files_in(tmp_path), [(0, 0, b"rubbish", b"key", RECEIVED)], MESSAGES))
    assert [(row.table, row.records) for row in files] == [(str(tmp_path / "devices.invalid"), 1)]


def test_invalid_messages_are_kept_whole_with_reason_key_and_timestamp(spark: SparkSession, tmp_path: Path) -> None:
    values = [b"[" * 100_000, None, device()]
    messages = messages_of(spark, [(3, offset, value) for offset, value in enumerate(values)])
    (file,) = (file for file in as_written(files_in(tmp_path)(messages)) if file.table.endswith("invalid"))
    rows = parquet.ParquetFile(Path(file.table) / file.path).read().to_pylist()
    assert [(row["partition"], row["offset"], row["reason"], row["value"]) for row in rows] == [
        (3, 0, "not JSON", values[0]), (3, 1, "tombstone", None),
    ]  # fmt: skip
    assert {(row["key"], row["timestamp"]) for row in rows} == {(b"key", RECEIVED)}
    received = rows[0]["received_at"]
    assert dt.datetime.now(dt.UTC) - received < dt.timedelta(minutes=10)
    assert file.path.startswith(f"received_date={received.date()}/part-")


def test_invalid_messages_below_the_end_offsets_of_their_table_are_left_out(
    spark: SparkSession, tmp_path: Path
) -> None:
    messages = messages_of(spark, [(0, 4, b"old"), (0, 5, b"new"), (0, 6, device()), (1, 0, b"new, too")])
    files = as_written(files_in(tmp_path, {0: 5})(messages))
    (invalid,) = (file for file in files if file.table.endswith("invalid"))
    values = parquet.ParquetFile(Path(invalid.table) / invalid.path).read().column("value")
    assert (values.to_pylist(), sum(file.records for file in files)) == ([b"new", b"new, too"], 3)


def test_large_invalid_messages_are_in_row_groups_of_their_own(spark: SparkSession, tmp_path: Path) -> None:
    """Whoever reads the file holds a row group in memory."""
    messages = messages_of(spark, [(0, offset, b"%d" % offset * 20_000_000) for offset in range(4)])
    (file,) = as_written(files_in(tmp_path)(messages))
    assert parquet.ParquetFile(Path(file.table) / file.path).num_row_groups == 4


@pytest.mark.parametrize(("ahead_s", "reasons"), [(86_400, []), (86_401, [DEVICES.clock_reason])])
def test_records_that_the_clock_may_have_refused_are_kept_as_received(ahead_s: int, reasons: list[str]) -> None:
    at_s = int(RECEIVED.timestamp())
    columns = {"partition": [0], "offset": [0], "value": [device(timestamp=at_s + ahead_s)], "key": [b"key"]}
    messages = pa.table({**columns, "timestamp": pa.array([RECEIVED], pa.timestamp("us", "UTC"))})
    later_us = (at_s + 3_600) * 1_000_000
    found = refused(DEVICES, messages, parse(DEVICES, messages), now_us=later_us)
    assert found.column("reason").to_pylist() == reasons


def late(count: int, hours: int) -> list[tuple[int, bytes]]:
    """Offsets and records, spread over hours."""
    return [(offset, device(timestamp=HOUR_S - 3_600 * (offset % hours))) for offset in range(count)]


def test_what_all_tasks_have_little_of_is_one_file_for_each_hour(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(partition, offset, value) for partition in range(3) for offset, value in late(20, 4)]
    messages = messages_of(spark, rows).repartition(3, "partition")
    files = as_written(files_in(tmp_path)(messages))
    assert sorted(file.path.rsplit("/", 1)[0] for file in files) == [
        f"event_date=2026-11-21/event_hour={hour}" for hour in (20, 21, 22, 23)
    ]
    found = parquet.ParquetFile(tmp_path / "devices" / files[0].path).read().select(["partition", "offset"]).to_pylist()
    assert len(found) == files[0].records == 15
    positions = [(row["partition"], row["offset"]) for row in found]
    assert positions == sorted(positions)
    assert {partition for partition, _ in positions} == {0, 1, 2}


def test_a_task_writes_itself_what_it_has_much_of(spark: SparkSession, tmp_path: Path) -> None:
    long = "A" * 400
    rows = [(0, offset, device(app=long, timestamp=HOUR_S)) for offset in range(12_000)]
    rows += [(0, 12_000 + offset, value) for offset, value in late(8, 2)]
    results = files_in(tmp_path)(messages_of(spark, rows)).drop("read").collect()
    written, remainders = results_of(row.asDict() for row in results)
    assert [file.records for file in written] == [12_004]
    assert [remainder.folder for remainder in remainders] == ["event_date=2026-11-21/event_hour=22"]


def test_a_task_hands_over_no_more_than_its_share(spark: SparkSession, tmp_path: Path) -> None:
    files = HistoryFiles(DEVICES, str(tmp_path / "devices"), str(tmp_path / "devices.invalid"), 2**30, {}, 4_000)
    rows = [(0, offset, value) for offset, value in late(100, 10)]
    written, remainders = results_of(row.asDict() for row in files.of(messages_of(spark, rows)).drop("read").collect())
    assert (len(written), len(remainders)) != (0, 10)
    assert sum(pa.ipc.open_stream(part.rows).read_all().nbytes for part in remainders) <= 4_000
    assert sum(file.records for file in [*written, *gather(remainders)]) == 100
