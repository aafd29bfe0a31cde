"""Executors write the parquet files of the history from Arrow columns.

Spark's own writer would make rows of the columns, sort them by hour and make columns of them again in the file. That
took longer than the rest of the history query.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from pyarrow.fs import FileSystem, LocalFileSystem

from bytemeter.executors import Transformation, map_tables
from bytemeter.feeds import Feed
from bytemeter.parsing import parse, valid

_AN_HOUR_US = 3_600_000_000
_WRITTEN = "path string, size long, records long, event_date string, event_hour string, written_ms long"


@dataclass(frozen=True)
class Written:
    """A file with records of one hour. It becomes part of the history when it is committed.

    Attributes:
        path: below the table's folder.
        size: in bytes.
        records: how many records it has.
        event_date, event_hour: of its records (UTC), as in the path.
        written_ms: when it was written, in milliseconds since 1970.
    """

    path: str
    size: int
    records: int
    event_date: str
    event_hour: str
    written_ms: int


def history_files(feed: Feed, table: str) -> Transformation:
    """Write the valid records of messages (see ``kept``) to files of a table, without committing the files.

    Delivery: files of tasks that failed or ran twice stay in the folder and never become part of the table.

    Args:
        table: folder or URI.

    Returns:
        A transformation of rows of the Kafka source (partition: int, offset: long, value: binary) into a row per file,
        with the attributes of ``Written``. Each evaluation writes new files.
    """
    return lambda messages: map_tables(
        messages.select("partition", "offset", "value"), partial(_write, feed, table), _WRITTEN, whole=True
    )


def kept(feed: Feed, messages: pa.Table) -> pa.Table:
    """The valid records of messages, as the history keeps them (see ``bytemeter.parsing.parse``).

    Returns:
        Rows of partition: int, offset: long, the feed's fields and event_time: timestamp (microseconds, UTC), of feeds
        that keep the message also raw: string.
    """
    records = valid(parse(feed, messages))
    time = records.column("event_us").cast(pa.timestamp("us", "UTC"))
    columns = records.select(["partition", "offset", *feed.names]).append_column("event_time", time)
    return columns.append_column("raw", records.column("value").cast(pa.string())) if feed.keeps_raw else columns


def _write(feed: Feed, table: str, messages: pa.Table) -> pa.Table:
    filesystem, root = FileSystem.from_uri(table)
    files = [_write_hour(filesystem, root, hour, part) for hour, part in _by_hour(kept(feed, messages))]
    return pa.Table.from_pylist([asdict(file) for file in files])


def _by_hour(records: pa.Table) -> Iterator[tuple[np.datetime64, pa.Table]]:
    hours = records.column("event_time").cast(pa.int64()).to_numpy() // _AN_HOUR_US
    order = np.argsort(hours, kind="stable")
    hours = hours[order]
    first = np.flatnonzero(np.diff(hours, prepend=-1))
    if len(first) > 1:
        records = records.take(order)
    for start, end in pairwise([*first.tolist(), len(hours)]):
        yield np.datetime64(int(hours[start]), "h"), records.slice(start, end - start)


def _write_hour(filesystem: FileSystem, root: str, hour: np.datetime64, records: pa.Table) -> Written:
    date, number = str(hour).split("T")
    event_hour = str(int(number))
    folder = f"event_date={date}/event_hour={event_hour}"
    path = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
    if isinstance(filesystem, LocalFileSystem):
        filesystem.create_dir(f"{root}/{folder}")
    with filesystem.open_output_stream(f"{root}/{path}") as output:
        parquet.write_table(records, output, compression="zstd")
        size = output.tell()
    return Written(path, size, records.num_rows, date, event_hour, time.time_ns() // 1_000_000)
