"""Looks for rows of the history that come again: a second row of a position, or of an event id within its hour.

To group all records by their ids costs more than all else. So a fingerprint of 64 bits is made of what must not come
twice; only rows that share theirs with another, in general few, are grouped by the ids themselves.
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

from batch_layer.history.counted import CountedOffsets, RowNumbers, counted_rows
from bytemeter.executors import map_shares, map_tables
from bytemeter.feeds import Feed
from bytemeter.hashing import Hashes, contained_in, hashes, mixed, occurs_repeatedly
from bytemeter.history.reading import Split, columns_of, task_shares

# By the numbers of files, those of some of their rows, in order.
RowsByFile = Mapping[int, RowNumbers]

NO_ROWS: RowNumbers = np.empty(0, np.int64)
_KEY = "bytemeter repeat"
_AT_ONCE = 2**19
# What one task looks at has some multiple of that in memory. Spark puts parts into tasks by a hash: of one part for
# each some tasks would get several.
_TASK_BYTES, _PARTS_OF_TASK, _LEAST_PARTS, _MOST_PARTS = 256 * 2**20, 4, 64, 2**16


def repeats(
    session: SparkSession, feed: Feed, splits: Sequence[Split], counted: CountedOffsets, *, bits: int = 64
) -> RowsByFile:
    """Of the rows that were counted those that come again: of equal ones all but the lowest (partition, offset).

    Args:
        bits: of a fingerprint. With fewer of them more rows are looked at twice.
    """
    cores = session.sparkContext.defaultParallelism
    work = task_shares(splits, cores)
    tasks = max(min(len(work), cores), sum(split.size for split in splits) // _TASK_BYTES, 1)
    looking = _Fingerprints(feed, counted, bits, parts=min(max(_PARTS_OF_TASK * tasks, _LEAST_PARTS), _MOST_PARTS))
    parts = map_shares(session, work, looking.of, "part int, prints binary, files binary, rows binary")
    suspects = _by_file(
        map_tables(parts.repartition(tasks, "part"), _that_share_one, "file int, row long", whole=True).toArrow()
    )
    if not suspects:
        return {}
    rows = map_shares(
        session,
        task_shares([split for split in splits if split.file.number in suspects], cores),
        lambda share: looking.identities(share, suspects),
        "hour timestamp, id string, partition int, offset long, file int, row long",
    )
    position = [F.when(F.col("id").isNull(), F.col(name)) for name in ("partition", "offset")]
    same = Window.partitionBy("hour", "id", *position).orderBy("partition", "offset", "file", "row")
    return _by_file(rows.withColumn("nth", F.row_number().over(same)).where("nth > 1").select("file", "row").toArrow())


@dataclass(frozen=True)
class _Fingerprints:
    """What executors make of splits.

    Attributes:
        parts: how many there are to be looked at, each by itself; what may be the same is in the same one.
    """

    feed: Feed
    counted: CountedOffsets
    bits: int
    parts: int

    def of(self, share: Iterable[Split]) -> Iterator[pa.Table]:
        """Fingerprints of counted rows, numbers of their files and of the rows, as arrays."""
        held: list[tuple[npt.NDArray[Any], ...]] = []
        count = 0
        for split, numbers, rows in counted_rows(share, self._columns, self.counted):
            held.append((self._prints(split, rows), np.full(len(numbers), split.file.number, np.int32), numbers))
            count += len(numbers)
            if count >= _AT_ONCE:
                yield self._in_parts(held)
                held, count = [], 0
        if held:
            yield self._in_parts(held)

    def identities(self, share: Iterable[Split], chosen: RowsByFile) -> Iterator[pa.Table]:
        """Of some rows what must not come twice."""
        for split, numbers, rows in counted_rows(share, self._columns, self.counted):
            those = pa.array(np.flatnonzero(contained_in(numbers, chosen.get(split.file.number, NO_ROWS))))
            found = rows.take(those)
            yield pa.table(
                {
                    "hour": pa.array([split.file.hour] * len(those), pa.timestamp("us", "UTC")),
                    "id": self._ids(found),
                    "partition": found.column("partition"),
                    "offset": found.column("offset"),
                    "file": pa.array([split.file.number] * len(those), pa.int32()),
                    "row": pa.array(numbers).take(those),
                }
            )

    @property
    def _columns(self) -> pa.Schema:
        return columns_of(self.feed, "partition", "offset", *([self.feed.event_id] if self.feed.event_id else []))

    def _ids(self, rows: pa.Table) -> pa.ChunkedArray:
        if self.feed.event_id:
            return rows.column(self.feed.event_id)
        return pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])

    def _prints(self, split: Split, rows: pa.Table) -> Hashes:
        ids = self._ids(rows)
        there = pc.is_valid(ids)
        prints = np.empty(rows.num_rows, np.uint64)
        hour = mixed(np.array([int(split.file.hour.timestamp())], np.uint64))
        prints[there.to_numpy()] = hashes(ids.filter(there), _KEY) ^ hour
        without = rows.filter(pc.invert(there))
        partitions, offsets = (without.column(name).to_numpy().astype(np.uint64) for name in ("partition", "offset"))
        prints[~there.to_numpy()] = mixed(mixed(partitions) ^ offsets)
        return prints >> np.uint64(64 - self.bits)

    def _in_parts(self, held: Sequence[tuple[npt.NDArray[Any], ...]]) -> pa.Table:
        prints, files, rows = (np.concatenate(values) for values in zip(*held, strict=True))
        part = (prints % np.uint64(self.parts)).astype(np.uint16)
        order = np.argsort(part, kind="stable")
        there, begins = np.unique(part[order], return_index=True)
        return pa.table(
            {
                "part": there.astype(np.int32),
                "prints": _blocks(prints[order], begins),
                "files": _blocks(files[order], begins),
                "rows": _blocks(rows[order], begins),
            }
        )


def _blocks(values: npt.NDArray[Any], begins: npt.NDArray[np.intp]) -> pa.Array:
    """The values as arrays that begin there, each as its bytes."""
    return pa.array([some.tobytes() for some in np.split(values, begins[1:])[: len(begins)]], pa.binary())


def _that_share_one(blocks: pa.Table) -> pa.Table:
    """Rows whose fingerprint another one has, too."""
    prints, files, rows = (
        np.concatenate([np.frombuffer(block, type_) for block in blocks.column(name).to_pylist()])
        for name, type_ in (("prints", np.uint64), ("files", np.int32), ("rows", np.int64))
    )
    in_order = np.sort(prints)
    those = contained_in(prints, np.unique(in_order[occurs_repeatedly(in_order)]))
    return pa.table({"file": files[those], "row": rows[those]})


def _by_file(found: pa.Table) -> RowsByFile:
    """Of rows of file: int and row: long."""
    in_order = found.sort_by([("file", "ascending"), ("row", "ascending")])
    files, begins = np.unique(in_order.column("file").to_numpy(), return_index=True)
    rows = np.split(in_order.column("row").to_numpy(), begins[1:])
    return dict(zip(files.tolist(), rows[: len(files)], strict=True))
