"""The records of the history that count: each once, without the records that the live query refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from batch_layer.history.counted import CountedOffsets, counted_rows
from batch_layer.history.duplicates import NO_ROWS, RowsByFile, duplicate_rows
from batch_layer.history.spans import Span
from bytemeter.executors import map_shares
from bytemeter.feeds import Feed
from bytemeter.hashing import contained_in
from bytemeter.history.reading import Split, columns_of, splits, task_shares
from bytemeter.history.table import History

OfTables = Callable[[Iterable[pa.Table]], Iterable[pa.Table]]


@dataclass(frozen=True)
class CountedRecords:
    """The records of a span that count.

    Left out are records that the live query did not count, a second row of the same (partition, offset), and
    duplicates: of the records with the same event id in the same event hour only the one with the lowest (partition,
    offset) stays.

    Attributes:
        splits: the parts of the history's files that contain the span.
        duplicates: rows that are left out although their offsets were counted.
    """

    session: SparkSession
    feed: Feed
    splits: Sequence[Split]
    counted: CountedOffsets
    duplicates: RowsByFile

    def map_tables(self, function: OfTables, fields: Sequence[str], schema: str) -> DataFrame:
        """Apply a function to the records, once in each task.

        Args:
            function: it gets the records of the task's share, up to half a million at a time, with the columns
                partition: int, offset: long, event_time: timestamp, event_us: long (the event time in microseconds
                since 1970) and ``fields``. It runs on executors: it must pickle.
            fields: names of the feed's fields.
            schema: the columns that the function returns, as Spark's DDL.
        """
        shares = task_shares(self.splits, self.session.sparkContext.defaultParallelism)
        columns = columns_of(self.feed, "partition", "offset", "event_time", *fields)
        counted, duplicates = self.counted, self.duplicates
        return map_shares(
            self.session, shares, lambda share: function(_records(share, columns, counted, duplicates)), schema
        )


def counted_records(history: History, span: Span, counted: CountedOffsets) -> CountedRecords:
    """List the splits of a span, and find the duplicates among its counted records."""
    parts = splits(file for file in history.files(span.since, span.until) if span.has(file.hour))
    duplicates = duplicate_rows(history.session, history.feed, parts, counted)
    return CountedRecords(history.session, history.feed, parts, counted, duplicates)


def _records(
    share: Iterable[Split], columns: pa.Schema, counted: CountedOffsets, duplicates: RowsByFile
) -> Iterator[pa.Table]:
    for split, indices, rows in counted_rows(share, columns, counted):
        is_duplicate = contained_in(indices, duplicates.get(split.file.id, NO_ROWS))
        records = rows.filter(pa.array(~is_duplicate)) if is_duplicate.any() else rows
        yield records.append_column("event_us", records.column("event_time").cast(pa.int64()))
