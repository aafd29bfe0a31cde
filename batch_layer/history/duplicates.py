"""Finds rows of the history that come twice: the same (partition, offset), or the same event id in the same hour.

To group all records by their ids costs more than all the rest. So each row gets a fingerprint of 64 bits of its
deduplication key. Only rows that share their fingerprint with another row, in general few, are grouped by the keys
themselves.
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

from batch_layer.history.counted import CountedOffsets, RowIndices, counted_rows
from bytemeter.executors import map_shares, map_tables
from bytemeter.feeds import Feed
from bytemeter.hashing import Hashes, contained_in, hashes, mixed, occurs_repeatedly
from bytemeter.history.reading import Split, columns_of, task_shares

# By the id of a file, the indices of rows in it, in order.
RowsByFile = Mapping[int, RowIndices]

NO_ROWS: RowIndices = np.empty(0, np.int64)
_HASH_KEY = "bytemeter repeat"
_ROWS_AT_ONCE = 2**19
# A task holds a small multiple of that in memory. Spark assigns buckets to tasks by a hash: with one bucket per task,
# one task would get several and another one none.
_TASK_BYTES, _BUCKETS_PER_TASK, _LEAST_BUCKETS, _MOST_BUCKETS = 256 * 2**20, 4, 64, 2**16


def duplicate_rows(
    session: SparkSession, feed: Feed, splits: Sequence[Split], counted: CountedOffsets, *, bits: int = 64
) -> RowsByFile:
    """Find the duplicates among the counted rows: of equal rows all but the one with the lowest (partition, offset).

    Args:
        bits: the size of a fingerprint. With fewer bits the result is the same, but more rows are read twice.
    """
    cores = session.sparkContext.defaultParallelism
    shares = task_shares(splits, cores)
    tasks = max(min(len(shares), cores), sum(split.size for split in splits) // _TASK_BYTES, 1)
    buckets = min(max(_BUCKETS_PER_TASK * tasks, _LEAST_BUCKETS), _MOST_BUCKETS)
    keys = _DeduplicationKeys(feed, counted, bits, buckets)
    fingerprints = map_shares(
        session, shares, keys.fingerprints, "bucket int, prints binary, files binary, rows binary"
    )
    suspects = _by_file(
        map_tables(
            fingerprints.repartition(tasks, "bucket"), _rows_with_a_shared_print, "file int, row long", whole=True
        ).toArrow()
    )
    if not suspects:
        return {}
    rows = map_shares(
        session,
        task_shares([split for split in splits if split.file.id in suspects], cores),
        lambda share: keys.of_rows(share, suspects),
        "hour timestamp, id string, partition int, offset long, file int, row long",
    )
    position = [F.when(F.col("id").isNull(), F.col(name)) for name in ("partition", "offset")]
    same_key = Window.partitionBy("hour", "id", *position).orderBy("partition", "offset", "file", "row")
    later = rows.withColumn("rank", F.row_number().over(same_key)).where("rank > 1")
    return _by_file(later.select("file", "row").toArrow())


@dataclass(frozen=True)
class _DeduplicationKeys:
    """Makes the deduplication keys of rows, on executors.

    The key of a row is (event hour, event id); of a row without an event id it is (partition, offset).

    Attributes:
        bits: the size of a fingerprint.
        buckets: rows with the same fingerprint are in the same bucket, and each bucket is compared by one task.
    """

    feed: Feed
    counted: CountedOffsets
    bits: int
    buckets: int

    def fingerprints(self, share: Iterable[Split]) -> Iterator[pa.Table]:
        """The fingerprints of the counted rows, with the ids of their files and their indices in them, as arrays."""
        held: list[tuple[npt.NDArray[Any], ...]] = []
        count = 0
        for split, indices, rows in counted_rows(share, self._columns, self.counted):
            held.append((self._prints(split, rows), np.full(len(indices), split.file.id, np.int32), indices))
            count += len(indices)
            if count >= _ROWS_AT_ONCE:
                yield self._in_buckets(held)
                held, count = [], 0
        if held:
            yield self._in_buckets(held)

    def of_rows(self, share: Iterable[Split], chosen: RowsByFile) -> Iterator[pa.Table]:
        """The keys of the chosen rows.

        Returns:
            Rows of hour: timestamp, id: string (null without an event id), partition: int, offset: long, file: int,
            row: long.
        """
        for split, indices, rows in counted_rows(share, self._columns, self.counted):
            wanted = pa.array(np.flatnonzero(contained_in(indices, chosen.get(split.file.id, NO_ROWS))))
            records = rows.take(wanted)
            yield pa.table(
                {
                    "hour": pa.array([split.file.hour] * len(wanted), pa.timestamp("us", "UTC")),
                    "id": self._ids(records),
                    "partition": records.column("partition"),
                    "offset": records.column("offset"),
                    "file": pa.array([split.file.id] * len(wanted), pa.int32()),
                    "row": pa.array(indices).take(wanted),
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
        has_id = pc.is_valid(ids)
        prints = np.empty(rows.num_rows, np.uint64)
        hour = mixed(np.array([int(split.file.hour.timestamp())], np.uint64))
        prints[has_id.to_numpy()] = hashes(ids.filter(has_id), _HASH_KEY) ^ hour
        without_id = rows.filter(pc.invert(has_id))
        partitions, offsets = (without_id.column(name).to_numpy().astype(np.uint64) for name in ("partition", "offset"))
        prints[~has_id.to_numpy()] = mixed(mixed(partitions) ^ offsets)
        return prints >> np.uint64(64 - self.bits)

    def _in_buckets(self, held: Sequence[tuple[npt.NDArray[Any], ...]]) -> pa.Table:
        prints, files, rows = (np.concatenate(values) for values in zip(*held, strict=True))
        bucket = (prints % np.uint64(self.buckets)).astype(np.uint16)
        order = np.argsort(bucket, kind="stable")
        used, begins = np.unique(bucket[order], return_index=True)
        return pa.table(
            {
                "bucket": used.astype(np.int32),
                "prints": _as_bytes(prints[order], begins),
                "files": _as_bytes(files[order], begins),
                "rows": _as_bytes(rows[order], begins),
            }
        )


def _as_bytes(values: npt.NDArray[Any], begins: npt.NDArray[np.intp]) -> pa.Array:
    """The values cut into arrays at ``begins``, each array as its bytes."""
    return pa.array([array.tobytes() for array in np.split(values, begins[1:])[: len(begins)]], pa.binary())


def _rows_with_a_shared_print(buckets: pa.Table) -> pa.Table:
    """The rows whose fingerprint occurs more than once.

    Args:
        buckets: rows of ``_DeduplicationKeys.fingerprints``.

    Returns:
        Rows of file: int and row: long.
    """
    prints, files, rows = (
        np.concatenate([np.frombuffer(block, type_) for block in buckets.column(name).to_pylist()])
        for name, type_ in (("prints", np.uint64), ("files", np.int32), ("rows", np.int64))
    )
    in_order = np.sort(prints)
    shared = contained_in(prints, np.unique(in_order[occurs_repeatedly(in_order)]))
    return pa.table({"file": files[shared], "row": rows[shared]})


def _by_file(rows: pa.Table) -> RowsByFile:
    """Rows of file: int and row: long, by their files."""
    in_order = rows.sort_by([("file", "ascending"), ("row", "ascending")])
    files, begins = np.unique(in_order.column("file").to_numpy(), return_index=True)
    indices = np.split(in_order.column("row").to_numpy(), begins[1:])
    return dict(zip(files.tolist(), indices[: len(files)], strict=True))
