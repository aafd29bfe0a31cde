"""The records of the history that count: once each, without what the live query refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from batch_layer.history.counted import CountedOffsets, counted_rows
from batch_layer.history.duplicates import NO_ROWS, RowsByFile, repeats
from batch_layer.history.spans import Span
from bytemeter.executors import map_shares
from bytemeter.feeds import Feed
from bytemeter.hashing import contained_in
from bytemeter.history.reading import Split, columns_of, splits, task_shares
from bytemeter.history.table import History

OfRecords = Callable[[Iterable[pa.Table]], Iterable[pa.Table]]


@dataclass(frozen=True)
class CountedRecords:
    """The records of a span that count.

    Left out are those that were not counted, a second row of the same position, and of records with the same event id
    in the same hour all but the lowest (partition, offset).

    Attributes:
        splits: of the history's files.
        repeats: what is left out although it was counted.
    """

    session: SparkSession
    feed: Feed
    splits: Sequence[Split]
    counted: CountedOffsets
    repeats: RowsByFile

    def map_tables(self, function: OfRecords, columns: Sequence[str], schema: str) -> DataFrame:
        """What a function makes of the records, of a share of them in each task.

        Args:
            function: it gets the records of a share, some hundred thousand at a time, of partition, offset, event_time,
                the columns, and event_us: long, the event time in microseconds since 1970. It runs on executors: it
                must pickle.
            columns: of the feed's fields.
            schema: of what the function returns.
        """
        work = task_shares(self.splits, self.session.sparkContext.defaultParallelism)
        wanted = columns_of(self.feed, "partition", "offset", "event_time", *columns)
        counted, again = self.counted, self.repeats
        return map_shares(self.session, work, lambda share: function(_settled(share, wanted, counted, again)), schema)


def counted_records(history: History, span: Span, counted: CountedOffsets) -> CountedRecords:
    """Look for the records of a span that count."""
    found = splits(file for file in history.files(span.since, span.until) if span.has(file.hour))
    again = repeats(history.session, history.feed, found, counted)
    return CountedRecords(history.session, history.feed, found, counted, again)


def _settled(
    share: Iterable[Split], columns: pa.Schema, counted: CountedOffsets, repeats: RowsByFile
) -> Iterator[pa.Table]:
    for split, numbers, rows in counted_rows(share, columns, counted):
        again = contained_in(numbers, repeats.get(split.file.number, NO_ROWS))
        records = rows.filter(pa.array(~again)) if again.any() else rows
        yield records.append_column("event_us", records.column("event_time").cast(pa.int64()))
