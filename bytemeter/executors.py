"""Arrow functions on Spark's executors, and what keeps their Python processes quick from task to task."""

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
    """Apply a function to rows, a few ten thousand at a time as columns.

    Args:
        function: it is pickled, and called at least once for each task that has rows.
        schema: of what it returns.
        whole: give it all rows of a task at once.
    """

    def make(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        keep_freed_memory()
        for together in [list(batches)] if whole else ([batch] for batch in batches):
            if together:
                yield from function(pa.Table.from_batches(together)).to_batches()
        keep_worker_warm()

    return rows.mapInArrow(make, schema)


def map_shares(
    session: SparkSession,
    shares: Sequence[Share],
    function: Callable[[Share], Iterable[pa.Table]],
    schema: StructType | str,
) -> DataFrame:
    """Apply a function to shares of some work, in a task each; what it returns as rows.

    Args:
        shares, function: they are pickled. Each task reads all shares as bytes, and unpacks its own.
        schema: of what the function returns.
    """

    packed = [pickle.dumps(share) for share in shares]

    def make(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for rows in function(pickle.loads(packed[number])):  # noqa: S301, what was packed above
                    yield from rows.to_batches()
        keep_worker_warm()

    return session.range(0, len(shares), 1, max(1, len(shares))).mapInArrow(make, schema)


def keep_worker_warm() -> None:
    """Let the next task of this process start at once; without it each one takes 0.2 s more.

    Between two tasks pyspark collects garbage, over all modules that were imported, and has the import system read the
    directories of archives anew, of which Spark's largest jar is one (it is on every worker's path).
    """
    _freeze()
    for path in [path for path, found in sys.path_importer_cache.items() if isinstance(found, zipimporter)]:
        del sys.path_importer_cache[path]


@cache
def _freeze() -> None:
    """Take all objects that there are out of the collection, once."""
    gc.freeze()
