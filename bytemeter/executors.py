"""Runs functions of Arrow tables on Spark's executors, and keeps their Python workers fast from task to task."""

from __future__ import annotations

import gc
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import TypeVar
from zipimport import zipimporter

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from bytemeter.memory import keep_freed_memory

Transformation = Callable[[DataFrame], DataFrame]
Share = TypeVar("Share")


def map_tables(
    rows: DataFrame, function: Callable[[pa.Table], pa.Table], schema: StructType | str, *, whole: bool = False
) -> DataFrame:
    """Apply a function to all rows, a batch of some ten thousand rows at a time as an Arrow table.

    Args:
        function: called once or more in each task that has rows; Spark pickles it.
        schema: of the tables that the function returns.
        whole: call the function once per task, with all rows of the task.
    """

    def map_batches(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        keep_freed_memory()
        for group in [list(batches)] if whole else ([batch] for batch in batches):
            if group:
                yield from function(pa.Table.from_batches(group)).to_batches()
        keep_worker_warm()

    return rows.mapInArrow(map_batches, schema)


def map_shares(
    session: SparkSession,
    shares: Sequence[Share],
    function: Callable[[Share], Iterable[pa.Table]],
    schema: StructType | str,
) -> DataFrame:
    """Apply a function to shares of work, such as files to read: one task per share.

    Args:
        shares: each is pickled; every task receives the bytes of all shares, and unpickles its own.
        function: Spark pickles it.
        schema: of the tables that the function returns.
    """

    pickled_shares = [pickle.dumps(share) for share in shares]

    def map_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        for batch in batches:
            for index in batch.column(0).to_pylist():
                share = pickle.loads(pickled_shares[index])  # noqa: S301, pickled above
                for table in function(share):
                    yield from table.to_batches()
        keep_worker_warm()

    return session.range(0, len(shares), 1, max(1, len(shares))).mapInArrow(map_batches, schema)


def keep_worker_warm() -> None:
    """Let the next task of this Python worker start at once; without it each task starts 0.2 s later.

    Between two tasks pyspark collects garbage, which visits the objects of all imported modules, and invalidates the
    import caches, which reads the directories of all archives on the path again: Spark's largest jar is one of these.
    """
    _freeze_garbage_collection()
    for path in [path for path, importer in sys.path_importer_cache.items() if isinstance(importer, zipimporter)]:
        del sys.path_importer_cache[path]


@cache
def _freeze_garbage_collection() -> None:
    """Exclude all objects that exist now from garbage collection; once per process."""
    gc.freeze()
