"""Looks for rows of the history that come again: a second row of a position, or of an event id within its hour.

To group all records by their ids costs more than all else. So a number of 64 bits is made of what must not come twice;
only rows that share theirs with another, in general few, are grouped by the ids themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from batch_layer.counted import Counted
from bytemeter.executors import mapped, spread
from bytemeter.feeds import Feed
from bytemeter.hashing import Hashes, are_among, hashes, mixed
from bytemeter.history import Piece, columns_of, read, shares

_KEY = "bytemeter repeat"
_FOUND = "path string, rows array<long>"
# Spark puts parts into tasks by a hash: of few parts one task may get all.
_LEAST_PARTS, _MOST_PARTS = 64, 2**16

RowNumbers = npt.NDArray[np.int64]
# By the paths of files, the numbers of some of their rows, in order.
Rows = Mapping[str, RowNumbers]

_NONE = np.empty(0, np.int64)


def rows_within(rows: Rows, piece: Piece, first: int, count: int) -> RowNumbers:
    """Which of ``count`` rows of a piece are among some rows; the numbers are counted from the ``first``."""
    numbers = rows.get(piece.file.path, _NONE)
    begin, end = np.searchsorted(numbers, [first, first + count])
    return numbers[begin:end] - first


def repeats(session: SparkSession, feed: Feed, pieces: Sequence[Piece], counted: Counted) -> Rows:
    """Of the rows that were counted those that come again: of equal ones all but the lowest (partition, offset)."""
    cores = session.sparkContext.defaultParallelism
    work = shares(pieces, cores)
    looking = _Looking(feed, counted, parts=min(max(len(work), _LEAST_PARTS), _MOST_PARTS))
    numbered = spread(session, work, looking.numbers, "part int, path string, numbers binary, rows binary")
    together = numbered.repartition(max(len(work), 1), "part")
    suspects = _by_path(mapped(together, _that_share_a_number, _FOUND, whole=True).toArrow())
    if not suspects:
        return {}
    concerned = [piece for piece in pieces if piece.file.path in suspects]
    rows = spread(
        session,
        shares(concerned, cores),
        lambda share: looking.identities(share, suspects),
        "hour timestamp, id string, partition int, offset long, path string, row long",
    )
    position = [F.when(F.col("id").isNull(), F.col(name)) for name in ("partition", "offset")]
    same = Window.partitionBy("hour", "id", *position).orderBy("partition", "offset", "path", "row")
    again = rows.withColumn("nth", F.row_number().over(same)).where("nth > 1")
    return _by_path(again.groupBy("path").agg(F.collect_list("row").alias("rows")).toArrow())


@dataclass(frozen=True)
class _Looking:
    """What executors do.

    Attributes:
        parts: how many there are to be looked at, each by itself.
    """

    feed: Feed
    counted: Counted
    parts: int

    def numbers(self, share: Iterable[Piece]) -> Iterator[pa.Table]:
        """Numbers of rows, and the rows, as arrays; what may be the same is in the same part."""
        for piece in share:
            for first, rows in read(piece, self._columns):
                kept = np.flatnonzero(self.counted.holds(rows))
                numbers = self._numbers(piece, rows.take(kept))
                part = (numbers % np.uint64(self.parts)).astype(np.uint16)
                order = np.argsort(part, kind="stable")
                there, begins = np.unique(part[order], return_index=True)
                yield pa.table(
                    {
                        "part": there.astype(np.int32),
                        "path": pa.array([piece.file.path] * len(there), pa.string()),
                        "numbers": _blocks(numbers[order], begins),
                        "rows": _blocks(kept[order] + first, begins),
                    }
                )

    def identities(self, share: Iterable[Piece], suspects: Rows) -> Iterator[pa.Table]:
        """Of some rows what must not come twice."""
        for piece in share:
            for first, rows in read(piece, self._columns):
                chosen = rows_within(suspects, piece, first, rows.num_rows)
                found = rows.take(chosen)
                yield pa.table(
                    {
                        "hour": pa.array([piece.file.hour] * len(chosen), pa.timestamp("us", "UTC")),
                        "id": self._ids(found),
                        "partition": found.column("partition"),
                        "offset": found.column("offset"),
                        "path": pa.array([piece.file.path] * len(chosen), pa.string()),
                        "row": chosen + first,
                    }
                )

    @property
    def _columns(self) -> pa.Schema:
        return columns_of(self.feed, "partition", "offset", *([self.feed.event_id] if self.feed.event_id else []))

    def _ids(self, rows: pa.Table) -> pa.ChunkedArray:
        return rows.column(self.feed.event_id) if self.feed.event_id else pa.nulls(rows.num_rows, pa.string())

    def _numbers(self, piece: Piece, rows: pa.Table) -> Hashes:
        ids = self._ids(rows)
        there = pc.is_valid(ids)
        numbers = np.empty(rows.num_rows, np.uint64)
        hour = mixed(np.array([int(piece.file.hour.timestamp())], np.uint64))
        numbers[there.to_numpy()] = hashes(ids.filter(there), _KEY) ^ hour
        without = rows.filter(pc.invert(there))
        partitions, offsets = (without.column(name).to_numpy().astype(np.uint64) for name in ("partition", "offset"))
        numbers[~there.to_numpy()] = mixed(mixed(partitions) ^ offsets)
        return numbers


def _blocks(values: npt.NDArray[Any], begins: npt.NDArray[np.intp]) -> pa.Array:
    """The values as arrays that begin there, each as its bytes."""
    return pa.array([some.tobytes() for some in np.split(values, begins[1:])[: len(begins)]], pa.binary())


def _that_share_a_number(blocks: pa.Table) -> pa.Table:
    """Rows whose number comes again."""
    numbers = [np.frombuffer(block, np.uint64) for block in blocks.column("numbers").to_pylist()]
    rows = [np.frombuffer(block, np.int64) for block in blocks.column("rows").to_pylist()]
    in_order = np.sort(np.concatenate(numbers))
    several = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    chosen = [of_block[are_among(some, several)] for some, of_block in zip(numbers, rows, strict=True)]
    return pa.table({"path": blocks.column("path"), "rows": pa.array(chosen, pa.list_(pa.int64()))})


def _by_path(found: pa.Table) -> Rows:
    """Of rows of path: string and rows: array<long>, without files that have none."""
    parts: dict[str, list[RowNumbers]] = {}
    for path, rows in zip(found.column("path").to_pylist(), found.column("rows"), strict=True):
        if len(rows):
            parts.setdefault(path, []).append(rows.values.to_numpy())
    return {path: np.sort(np.concatenate(rows)) for path, rows in parts.items()}
