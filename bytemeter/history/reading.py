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

from bytemeter.feeds import Feed

_PIECE_BYTES = 32 * 2**20
_SHARE_BYTES = 256 * 2**20
_AT_ONCE = 2**19


@dataclass(frozen=True)
class File:
    """A file of the history.

    Attributes:
        table: folder or URI.
        path: below that.
        hour: the start of the hour of its records (UTC).
        size: in bytes.
    """

    table: str
    path: str
    hour: dt.datetime
    size: int


@dataclass(frozen=True)
class Piece:
    """A part of a file: of its row groups the ``number``-th of each ``of``."""

    file: File
    number: int = 0
    of: int = 1

    @property
    def size(self) -> int:
        """Its bytes, if row groups are alike."""
        return self.file.size // self.of


def pieces(files: Iterable[File]) -> list[Piece]:
    """The files in pieces of which each can be read by itself."""
    return [
        Piece(file, number, of) for file in files for of in [-(-file.size // _PIECE_BYTES) or 1] for number in range(of)
    ]


def shares(pieces: Sequence[Piece], cores: int) -> list[list[Piece]]:
    """The pieces for as many tasks as there are cores, or more where a share would be large."""
    many = min(len(pieces), max(cores, sum(piece.size for piece in pieces) // _SHARE_BYTES))
    largest_first = sorted(pieces, key=lambda piece: -piece.size)
    return [largest_first[number::many] for number in range(many)]


def columns_of(feed: Feed, *names: str) -> pa.Schema:
    """Columns of the history: of the feed's fields, of partition: int, offset: long and event_time: timestamp."""
    fields = to_arrow_schema(feed.schema)
    also = {"partition": pa.int32(), "offset": pa.int64(), "event_time": pa.timestamp("us", "UTC")}
    return pa.schema([(name, also.get(name) or fields.field(name).type) for name in names])


def read(piece: Piece, columns: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
    """The rows of a piece, some hundred thousand at a time, each time with the number of the first one in the file.

    A column that the file has not got, as it was added later, is null.
    """
    filesystem, root = _storage(piece.file.table)
    with filesystem.open_input_file(f"{root}/{piece.file.path}") as source:
        file = parquet.ParquetFile(source, coerce_int96_timestamp_unit="us")
        there = [name for name in columns.names if name in file.schema_arrow.names]
        first = 0
        for number in range(file.num_row_groups):
            if number % piece.of == piece.number:
                begin = first
                for batch in file.iter_batches(_AT_ONCE, [number], there, use_threads=False):
                    yield begin, _as(columns, batch)
                    begin += batch.num_rows
            first += file.metadata.row_group(number).num_rows


@cache
def _storage(table: str) -> tuple[FileSystem, str]:
    # A bucket's has to log in.
    filesystem, root = FileSystem.from_uri(table)
    return filesystem, root


def _as(columns: pa.Schema, batch: pa.RecordBatch) -> pa.Table:
    there = set(batch.schema.names)
    return pa.table(
        {
            field.name: batch.column(field.name).cast(field.type)
            if field.name in there
            else pa.nulls(batch.num_rows, field.type)
            for field in columns
        }
    )
