"""Executors read the data files of the history as Arrow columns.

Spark's own reader makes a row of each record, and Python makes a column of the rows again: that takes several times as
long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import NativeFile, parquet

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.history.storage import filesystem_of

_OF_ALL_FEEDS = (
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("event_time", pa.timestamp("us", "UTC"), nullable=False),
)
_SPLIT_BYTES = 32 * 2**20
_SHARE_BYTES = 64 * 2**20
_ROWS_AT_ONCE = 2**19


@dataclass(frozen=True)
class File:
    """A data file of the history.

    Attributes:
        id: its index among the files that were listed together.
        table: folder or URI of the Delta table.
        path: below the table.
        hour: the event hour of its records (UTC).
        size: in bytes.
    """

    id: int
    table: str
    path: str
    hour: dt.datetime
    size: int


@dataclass(frozen=True)
class Split:
    """A part of a file that one task reads: of its row groups ``index``, ``index + count``, ``index + 2 count`` ..."""

    file: File
    index: int = 0
    count: int = 1

    @property
    def size(self) -> int:
        """Its size in bytes, if all row groups are of the same size."""
        return self.file.size // self.count


def splits(files: Iterable[File]) -> list[Split]:
    """Cut the files into splits of about 32 MiB."""
    counts = [(file, -(-file.size // _SPLIT_BYTES) or 1) for file in files]
    return [Split(file, index, count) for file, count in counts for index in range(count)]


def task_shares(splits: Sequence[Split], cores: int) -> list[list[Split]]:
    """Deal the splits out to tasks: one task per core, or a multiple of that where a share would exceed 64 MiB."""
    rounds = -(-sum(split.size for split in splits) // (_SHARE_BYTES * cores)) or 1
    tasks = min(len(splits), rounds * cores)
    # A large file may have few row groups, and then only its first splits have rows: those are dealt out first.
    in_order = sorted(splits, key=lambda split: (split.index, -split.size))
    return [in_order[task::tasks] for task in range(tasks)]


def columns_of(feed: Feed, *names: str) -> pa.Schema:
    """The schema of columns of the history: fields of the feed, or partition, offset and event_time."""
    fields = [*(pa.field(f.name, f.type.arrow, not f.required) for f in feed.kept_fields), *_OF_ALL_FEEDS]
    return pa.schema([field for name in names for field in fields if field.name == name])


def read(split: Split, columns: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
    """Read the rows of a split, up to half a million at a time.

    An optional field that was added to the feed after the file was written is null.

    Returns:
        Pairs of the first row's index in the file, and the rows.

    Raises:
        BytemeterError: the file is gone, or lacks a required column.
    """
    with _opened(split.file) as source:
        file = parquet.ParquetFile(source, coerce_int96_timestamp_unit="us")
        stored = [name for name in columns.names if name in file.schema_arrow.names]
        first = 0
        for group in range(file.num_row_groups):
            if group % split.count == split.index:
                begin = first
                for batch in file.iter_batches(_ROWS_AT_ONCE, [group], stored, use_threads=False):
                    yield begin, pa.table([_column(field, batch, split) for field in columns], schema=columns)
                    begin += batch.num_rows
            first += file.metadata.row_group(group).num_rows


def _opened(file: File) -> NativeFile:
    filesystem, root = filesystem_of(file.table)
    try:
        return filesystem.open_input_file(f"{root}/{file.path}")
    except FileNotFoundError:
        raise BytemeterError(
            f"the file {file.path} of the history in {file.table} is gone; restore it (a bucket may have soft delete), "
            "or remove it from the table"
        ) from None


def _column(field: pa.Field, batch: pa.RecordBatch, split: Split) -> pa.Array:
    if field.name in batch.schema.names:
        return batch.column(field.name).cast(field.type)
    if not field.nullable:
        raise BytemeterError(
            f"the file {split.file.path} of the history in {split.file.table} has no column {field.name}; "
            "restore the file, or remove it from the table"
        )
    return pa.nulls(batch.num_rows, field.type)
