"""Runs functions of Arrow tables on Spark's executors, and keeps their Python workers fast from task to task."""

from __future__ import annotations

import gc
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from zipimport import zipimporter

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from bytemeter.memory import keep_freed_memory

Transformation = Callable[[DataFrame], DataFrame]
Share = TypeVar("Share")

_READ = pa.struct([("messages", pa.int64()), ("bytes", pa.int64()), ("gave_up", pa.bool_())])


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


class BoundedMessages:
    """The messages of a task, some ten thousand or 16 MiB at a time, up to a bound of bytes.

    Attributes:
        messages, bytes: how many messages the task has read, and their size in memory; with what was made of them that
            is larger than they are (see ``add``).
        gave_up: whether there were more bytes than the task may read. Only a task whose messages come in one table,
            for example because there is one message, never gives up.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], most_bytes: int) -> None:
        self._batches, self._most_bytes = batches, most_bytes
        self.messages = self.bytes = 0
        self.gave_up = False

    def add(self, size: int) -> None:
        """Count bytes that were made of the messages, and leave the task with them."""
        self.bytes += size

    def __iter__(self) -> Iterator[pa.Table]:
        for batch in self._batches:
            is_first = not self.messages
            self.messages += batch.num_rows
            self.bytes += batch.nbytes
            if self.bytes > self._most_bytes and not is_first:
                self.gave_up = True
                return
            yield pa.Table.from_batches([batch])


@dataclass(frozen=True)
class Read:
    """What the tasks of a job have read.

    Attributes:
        messages, bytes: how many, and their size in memory, of all tasks.
        most_bytes: the bytes of the task that has read the most.
        gave_up: whether a task gave up. Then what the job returned is not all, and must not be used.
    """

    messages: int
    bytes: int
    most_bytes: int
    gave_up: bool

    @classmethod
    def of(cls, tasks: Iterable[dict[str, int] | None]) -> Read:
        """Add up the values of the column ``read`` (see ``map_bounded``)."""
        found = [task for task in tasks if task]
        return cls(
            sum(task["messages"] for task in found),
            sum(task["bytes"] for task in found),
            max((task["bytes"] for task in found), default=0),
            any(task["gave_up"] for task in found),
        )


def map_bounded(
    messages: DataFrame,
    function: Callable[[BoundedMessages], Iterable[pa.Table]],
    schema: pa.Schema,
    *,
    most_bytes: int,
) -> DataFrame:
    """Apply a function to the messages of each task, of which no task reads more than a bound of bytes.

    Args:
        function: called once in each task. It has to iterate over the messages to the end; Spark pickles it.
        schema: of the tables that the function returns.
        most_bytes: what a task may read.

    Returns:
        Rows of the function's columns and of read: struct (see ``Read``). Of each task one row has ``read``, and nulls
        in the function's columns.
    """
    columns = schema.append(pa.field("read", _READ))

    def map_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        bounded = BoundedMessages(batches, most_bytes)
        for table in function(bounded):
            yield from table.append_column("read", pa.nulls(table.num_rows, _READ)).cast(columns).to_batches()
        read = {"messages": bounded.messages, "bytes": bounded.bytes, "gave_up": bounded.gave_up}
        yield from pa.Table.from_pylist([{"read": read}], columns).to_batches()
        keep_worker_warm()

    return messages.mapInArrow(map_batches, from_arrow_schema(columns))


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
    """Exclude all objects that exist now from garbage collection, and leave it to pyspark, after each task.

    A task makes lists of ten thousand records, which Python would search for cycles again and again. Once per process.
    """
    gc.freeze()
    gc.disable()
