"""Executors write the parquet files of the history from Arrow columns.

Spark's own writer would make rows of the columns, sort them by hour and make columns of them again in the file. That
took longer than the rest of the history query.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet
from pyarrow.fs import LocalFileSystem
from pyspark.sql import DataFrame

from bytemeter.executors import BoundedMessages, map_bounded
from bytemeter.feeds import Feed
from bytemeter.history.storage import filesystem_of
from bytemeter.parsing import parse, valid

_AN_HOUR_US = 3_600_000_000
_WRITTEN = pa.schema(
    [
        *(("table", pa.string()), ("path", pa.string())),
        *(("size", pa.int64()), ("records", pa.int64()), ("written_ms", pa.int64())),
    ]
)
# Whoever reads a file holds one row group in memory.
_ROW_GROUP_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Written:
    """A file of records of one hour, or of invalid messages. It becomes part of its table when it is committed.

    Attributes:
        table: folder or URI of its table.
        path: below the table's folder: the columns by which the table is partitioned and their values, and a name.
        size: in bytes.
        records: how many rows it has.
        written_ms: when it was written, in milliseconds since 1970.
    """

    table: str
    path: str
    size: int
    records: int
    written_ms: int


@dataclass(frozen=True)
class HistoryFiles:
    """Writes messages of a feed to files, without committing these.

    Delivery: files of tasks that failed, gave up or ran twice stay in the folder and never become part of a table.

    Attributes:
        records: folder or URI of the table of valid records (see ``kept``).
        invalid: that of the invalid messages (see ``refused``).
        task_bytes: what a task may read. A task that gives up writes no file.
        invalid_ends: by partition the offset below which the table of invalid messages has them already.
    """

    feed: Feed
    records: str
    invalid: str
    task_bytes: int
    invalid_ends: Mapping[int, int] = field(default_factory=dict)

    def of(self, messages: DataFrame) -> DataFrame:
        """Write messages on executors.

        Args:
            messages: of the Kafka source: partition: int, offset: long, value: binary, key: binary and
                timestamp: timestamp.

        Returns:
            A row per file, with the attributes of ``Written``, and read: struct (see
            ``bytemeter.executors.map_bounded``). Each evaluation writes new files.
        """
        columns = messages.select("partition", "offset", "value", "key", "timestamp")
        return map_bounded(columns, self._write, _WRITTEN, most_bytes=self.task_bytes)

    def _write(self, messages: BoundedMessages) -> Iterator[pa.Table]:
        now_us = time.time_ns() // 1_000
        records: list[pa.Table] = []
        invalid: list[pa.Table] = []
        for table in messages:
            parsed = parse(self.feed, table)
            records.append(_kept(self.feed, parsed))
            invalid.append(refused(self.feed, table, parsed, now_us=now_us))
        if records and not messages.gave_up:
            files = [*self._record_files(pa.concat_tables(records)), *self._invalid_files(pa.concat_tables(invalid))]
            yield pa.Table.from_pylist([asdict(file) for file in files], _WRITTEN)

    def _record_files(self, records: pa.Table) -> Iterator[Written]:
        for hour, part in _by_hour(records):
            date, number = str(hour).split("T")
            yield _write_file(self.records, f"event_date={date}/event_hour={int(number)}", part)

    def _invalid_files(self, invalid: pa.Table) -> Iterator[Written]:
        ends = [self.invalid_ends.get(partition, 0) for partition in invalid.column("partition").to_pylist()]
        missing = invalid.filter(pc.greater_equal(invalid.column("offset"), pa.array(ends, pa.int64())))
        if missing.num_rows:
            date = np.datetime64(missing.column("received_at")[0].value, "us").astype("datetime64[D]")
            rows = max(1, missing.num_rows * _ROW_GROUP_BYTES // missing.nbytes)
            yield _write_file(
                self.invalid, f"received_date={date}", missing, row_group_size=rows, use_dictionary=["reason"]
            )


def kept(feed: Feed, messages: pa.Table) -> pa.Table:
    """The valid records of messages, as the history keeps them (see ``bytemeter.parsing.parse``).

    Returns:
        Rows of partition: int, offset: long, the feed's fields and event_time: timestamp (microseconds, UTC), of feeds
        that keep the message also raw: string.
    """
    return _kept(feed, parse(feed, messages))


def refused(feed: Feed, messages: pa.Table, parsed: pa.Table, *, now_us: int) -> pa.Table:
    """The messages that are invalid, or that the live query may have refused by the clock.

    Args:
        messages: with Kafka's key and timestamp.
        parsed: the same messages in the same order, parsed without a clock.
        now_us: the clock, in microseconds since 1970.

    Returns:
        Rows of partition: int, offset: long, reason: string, value: binary, key: binary, timestamp: timestamp and
        received_at: timestamp (microseconds, UTC).
    """
    reason = parsed.column("reason")
    if feed.clock_tolerance_s is not None:
        # The live query's clock was not before this.
        received_us = pc.min_element_wise(messages.column("timestamp").cast(pa.int64()), now_us)
        ahead_us = pc.subtract(parsed.column("event_us"), received_us)
        is_refused = pc.fill_null(pc.greater(ahead_us, feed.clock_tolerance_s * 1_000_000), False)
        reason = pc.if_else(pc.and_(is_refused, pc.is_null(reason)), feed.clock_reason, reason)
    is_invalid = pc.is_valid(reason)
    of_kafka = messages.select(["partition", "offset", "value", "key", "timestamp"]).filter(is_invalid)
    received = pa.array([now_us] * of_kafka.num_rows, pa.timestamp("us", "UTC"))
    return of_kafka.add_column(2, "reason", reason.filter(is_invalid)).append_column("received_at", received)


def _kept(feed: Feed, parsed: pa.Table) -> pa.Table:
    records = valid(parsed)
    time = records.column("event_us").cast(pa.timestamp("us", "UTC"))
    columns = records.select(["partition", "offset", *feed.names]).append_column("event_time", time)
    return columns.append_column("raw", records.column("value").cast(pa.string())) if feed.keeps_raw else columns


def _by_hour(records: pa.Table) -> Iterator[tuple[np.datetime64, pa.Table]]:
    hours = records.column("event_time").cast(pa.int64()).to_numpy() // _AN_HOUR_US
    order = np.argsort(hours, kind="stable")
    hours = hours[order]
    first = np.flatnonzero(np.diff(hours, prepend=-1))
    if len(first) > 1:
        records = records.take(order)
    for start, end in pairwise([*first.tolist(), len(hours)]):
        yield np.datetime64(int(hours[start]), "h"), records.slice(start, end - start)


def _write_file(table: str, folder: str, rows: pa.Table, **options: Any) -> Written:
    """Write a new file of rows, with options of parquet, into a folder of a table."""
    filesystem, root = filesystem_of(table)
    path = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
    if isinstance(filesystem, LocalFileSystem):
        filesystem.create_dir(f"{root}/{folder}")
    with filesystem.open_output_stream(f"{root}/{path}") as output:
        parquet.write_table(rows, output, compression="zstd", **options)
        size = output.tell()
    return Written(table, path, size, rows.num_rows, time.time_ns() // 1_000_000)
