"""Executors write the parquet files of the history from Arrow columns.

Spark's own writer would make rows of the columns, sort them by hour and make columns of them again in the file. That
took longer than the rest of the history query.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
_RESULTS = pa.schema(
    [
        *(("table", pa.string()), ("path", pa.string())),
        *(("size", pa.int64()), ("records", pa.int64()), ("written_ms", pa.int64())),
        ("rows", pa.binary()),
    ]
)
# A task writes a file of what is larger in memory, and hands the rest to the driver.
_FILE_BYTES = 4 * 2**20
# What all tasks of a micro-batch together may hand over.
MOST_GATHERED_BYTES = 64 * 2**20
_GATHERING_THREADS = 8
# Whoever reads a file holds one row group in memory.
ROW_GROUP_BYTES = 32 * 2**20


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
class Remainder:
    """Rows that are too few for a file of their own: the driver gathers those of all tasks (see ``gather``).

    Attributes:
        table: folder or URI of their table.
        folder: below the table's folder: the columns by which the table is partitioned and their values.
        rows: an Arrow IPC stream.
    """

    table: str
    folder: str
    rows: bytes


@dataclass(frozen=True)
class HistoryFiles:
    """Writes messages of a feed to files, without committing these.

    Late records are few in many hours. So that these do not become a file for each hour and task, a task hands what it
    has little of to the driver.

    Delivery: files of tasks that failed, gave up or ran twice stay in the folder and never become part of a table.

    Attributes:
        records: folder or URI of the table of valid records (see ``kept``).
        invalid: that of the invalid messages (see ``refused``).
        task_bytes: what a task may read. A task that gives up writes no file.
        invalid_ends: by partition the offset below which the table of invalid messages has them already.
        gathered_bytes: of Arrow columns, what a task may hand to the driver.
    """

    feed: Feed
    records: str
    invalid: str
    task_bytes: int
    invalid_ends: Mapping[int, int] = field(default_factory=dict)
    gathered_bytes: int = 2 * _FILE_BYTES

    def of(self, messages: DataFrame) -> DataFrame:
        """Write messages on executors.

        Args:
            messages: of the Kafka source: partition: int, offset: long, value: binary, key: binary and
                timestamp: timestamp.

        Returns:
            A row for each file or remainder (see ``results_of``), and read: struct (see
            ``bytemeter.executors.map_bounded``). Each evaluation writes new files.
        """
        columns = messages.select("partition", "offset", "value", "key", "timestamp")
        return map_bounded(columns, self._write, _RESULTS, most_bytes=self.task_bytes)

    def _write(self, messages: BoundedMessages) -> Iterator[pa.Table]:
        now_us = time.time_ns() // 1_000
        records: list[pa.Table] = []
        invalid: list[pa.Table] = []
        for table in messages:
            parsed = parse(self.feed, table)
            records.append(_kept(self.feed, parsed))
            invalid.append(refused(self.feed, table, parsed, now_us=now_us))
        if records and not messages.gave_up:
            parts = [*self._record_parts(pa.concat_tables(records)), *self._invalid_parts(pa.concat_tables(invalid))]
            yield pa.Table.from_pylist(list(self._results(parts)), _RESULTS)

    def _record_parts(self, records: pa.Table) -> Iterator[_Part]:
        for hour, rows in _by_hour(records):
            date, number = str(hour).split("T")
            yield _Part(self.records, f"event_date={date}/event_hour={int(number)}", rows)

    def _invalid_parts(self, invalid: pa.Table) -> Iterator[_Part]:
        ends = [self.invalid_ends.get(partition, 0) for partition in invalid.column("partition").to_pylist()]
        missing = invalid.filter(pc.greater_equal(invalid.column("offset"), pa.array(ends, pa.int64())))
        if missing.num_rows:
            date = np.datetime64(missing.column("received_at")[0].value, "us").astype("datetime64[D]")
            yield _Part(self.invalid, f"received_date={date}", missing)

    def _results(self, parts: Iterable[_Part]) -> Iterator[dict[str, Any]]:
        """Hand over the smallest parts, and write the others."""
        handed_over = 0
        for part in sorted(parts, key=lambda part: part.rows.nbytes):
            handed_over += part.rows.nbytes
            if part.rows.nbytes < _FILE_BYTES and handed_over <= self.gathered_bytes:
                yield {"table": part.table, "path": part.folder, "rows": _serialised(part.rows)}
            else:
                yield asdict(write_file(part.table, part.folder, [part.rows], part.rows.schema))


@dataclass(frozen=True)
class _Part:
    """What a task has of an hour, or of invalid messages: see ``Remainder``."""

    table: str
    folder: str
    rows: pa.Table


def results_of(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Written], list[Remainder]]:
    """What the tasks have written, and what they have handed over.

    Args:
        rows: of ``HistoryFiles.of``, without ``read``.
    """
    written: list[Written] = []
    remainders: list[Remainder] = []
    for row in rows:
        if row["rows"] is not None:
            remainders.append(Remainder(row["table"], row["path"], bytes(row["rows"])))
        elif row["path"] is not None:
            written.append(Written(**{name: value for name, value in row.items() if name != "rows"}))
    return written, remainders


def gather(remainders: Iterable[Remainder]) -> list[Written]:
    """Write the remainders of all tasks, one file for each folder; on the driver."""
    folders: dict[tuple[str, str], list[pa.Table]] = {}
    for remainder in remainders:
        rows = pa.ipc.open_stream(remainder.rows).read_all()
        folders.setdefault((remainder.table, remainder.folder), []).append(rows)

    def write(folder: tuple[str, str]) -> Written:
        rows = pa.concat_tables(folders[folder]).sort_by([("partition", "ascending"), ("offset", "ascending")])
        return write_file(*folder, [rows], rows.schema)

    # A bucket takes a tenth of a second for each.
    with ThreadPoolExecutor(_GATHERING_THREADS, "gathering") as threads:
        return list(threads.map(write, folders))


def write_file(table: str, folder: str, tables: Iterable[pa.Table], schema: pa.Schema) -> Written:
    """Write a new file into a folder of a table, in row groups of at most 32 MiB of Arrow columns.

    Args:
        tables: of ``schema``; each one begins a row group.
    """
    filesystem, root = filesystem_of(table)
    path = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
    # Whole messages as received are no values that repeat.
    dictionaries = [column.name for column in schema if not pa.types.is_binary(column.type)]
    records = 0
    if isinstance(filesystem, LocalFileSystem):
        filesystem.create_dir(f"{root}/{folder}")
    with filesystem.open_output_stream(f"{root}/{path}") as output:
        with parquet.ParquetWriter(output, schema, compression="zstd", use_dictionary=dictionaries) as writer:
            for rows in tables:
                writer.write_table(rows, max(1, rows.num_rows * ROW_GROUP_BYTES // max(1, rows.nbytes)))
                records += rows.num_rows
        size = output.tell()
    return Written(table, path, size, records, time.time_ns() // 1_000_000)


def _serialised(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


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
