"""The files of the history as Arrow columns, read by executors.

By Spark's reader each record becomes a row, and with Python behind it a column again: that takes several times as long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
from pyarrow import parquet
from pyarrow.fs import FileSystem
from pyspark.sql.pandas.types import to_arrow_schema

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed

_OF_ALL_FEEDS = (
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("event_time", pa.timestamp("us", "UTC"), nullable=False),
)
_SPLIT_BYTES = 32 * 2**20
_SHARE_BYTES = 64 * 2**20
_AT_ONCE = 2**19


@dataclass(frozen=True)
class File:
    """A file of the history.

    Attributes:
        number: tells it from the others that were asked for.
        table: folder or URI.
        path: below that.
        hour: the start of the hour of its records (UTC).
        size: in bytes.
    """

    number: int
    table: str
    path: str
    hour: dt.datetime
    size: int


@dataclass(frozen=True)
class Split:
    """A part of a file: of its row groups the ``number``-th of each ``of``."""

    file: File
    number: int = 0
    of: int = 1

    @property
    def size(self) -> int:
        """Its bytes, if row groups are alike."""
        return self.file.size // self.of


def splits(files: Iterable[File]) -> list[Split]:
    """The files in splits of which each can be read by itself."""
    return [
        Split(file, number, of) for file in files for of in [-(-file.size // _SPLIT_BYTES) or 1] for number in range(of)
    ]


def task_shares(splits: Sequence[Split], cores: int) -> list[list[Split]]:
    """The splits for as many tasks as there are cores, or several times as many where a share would be large."""
    rounds = -(-sum(split.size for split in splits) // (_SHARE_BYTES * cores)) or 1
    many = min(len(splits), rounds * cores)
    # A large file may have few row groups: only its first splits surely have one.
    in_order = sorted(splits, key=lambda split: (split.number, -split.size))
    return [in_order[number::many] for number in range(many)]


def columns_of(feed: Feed, *names: str) -> pa.Schema:
    """Columns of the history: of the feed's fields, of partition: int, offset: long and event_time: timestamp."""
    fields = [*to_arrow_schema(feed.schema), *_OF_ALL_FEEDS]
    return pa.schema([field for name in names for field in fields if field.name == name])


def read(split: Split, columns: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
    """The rows of a split, some hundred thousand at a time, each time with the number of the first one in the file.

    An optional field that the file has not got, as it was added later, is null.

    Raises:
        BytemeterError: the file has not got another one.
    """
    filesystem, root = _storage(split.file.table)
    with filesystem.open_input_file(f"{root}/{split.file.path}") as source:
        file = parquet.ParquetFile(source, coerce_int96_timestamp_unit="us")
        there = [name for name in columns.names if name in file.schema_arrow.names]
        first = 0
        for number in range(file.num_row_groups):
            if number % split.of == split.number:
                begin = first
                for batch in file.iter_batches(_AT_ONCE, [number], there, use_threads=False):
                    yield begin, pa.table([_column(field, batch, split) for field in columns], schema=columns)
                    begin += batch.num_rows
            first += file.metadata.row_group(number).num_rows


@cache
def _storage(table: str) -> tuple[FileSystem, str]:
    # A bucket's has to log in.
    filesystem, root = FileSystem.from_uri(table)
    return filesystem, root


def _column(field: pa.Field, batch: pa.RecordBatch, split: Split) -> pa.Array:
    if field.name in batch.schema.names:
        return batch.column(field.name).cast(field.type)
    if not field.nullable:
        raise BytemeterError(
            f"the file {split.file.path} of the history in {split.file.table} has no column {field.name}; "
            "restore it, or leave the file out"
        )
    return pa.nulls(batch.num_rows, field.type)
