"""The records of the history that count: once each, without what the live query refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from batch_layer.counted import Counted, counted_rows
from batch_layer.repeats import NO_ROWS, RowsByFile, repeats
from batch_layer.spans import Span
from bytemeter.executors import spread
from bytemeter.feeds import Feed
from bytemeter.hashing import are_among
from bytemeter.history import History, Piece, columns_of, pieces, shares

OfRecords = Callable[[Iterable[pa.Table]], Iterable[pa.Table]]


@dataclass(frozen=True)
class Settled:
    """The records of a span that count.

    Left out are those that were not counted, a second row of the same position, and of records with the same event id
    in the same hour all but the lowest (partition, offset).

    Attributes:
        pieces: of the history's files.
        repeats: what is left out although it was counted.
    """

    session: SparkSession
    feed: Feed
    pieces: Sequence[Piece]
    counted: Counted
    repeats: RowsByFile

    def mapped(self, function: OfRecords, columns: Sequence[str], schema: str) -> DataFrame:
        """What a function makes of the records, of a share of them in each task.

        Args:
            function: it gets the records of a share, some hundred thousand at a time, of partition, offset, event_time,
                the columns, and event_us: long, the event time in microseconds since 1970. It runs on executors: it
                must pickle.
            columns: of the feed's fields.
            schema: of what the function returns.
        """
        work = shares(self.pieces, self.session.sparkContext.defaultParallelism)
        wanted = columns_of(self.feed, "partition", "offset", "event_time", *columns)
        counted, again = self.counted, self.repeats
        return spread(self.session, work, lambda share: function(_settled(share, wanted, counted, again)), schema)


def settled_records(history: History, span: Span, counted: Counted) -> Settled:
    """Look for the records of a span that count."""
    found = pieces(file for file in history.files(span.since, span.until) if span.has(file.hour))
    again = repeats(history.session, history.feed, found, counted)
    return Settled(history.session, history.feed, found, counted, again)


def _settled(share: Iterable[Piece], columns: pa.Schema, counted: Counted, repeats: RowsByFile) -> Iterator[pa.Table]:
    for piece, numbers, rows in counted_rows(share, columns, counted):
        again = are_among(numbers, repeats.get(piece.file.number, NO_ROWS))
        records = rows.filter(pa.array(~again)) if again.any() else rows
        yield records.append_column("event_us", records.column("event_time").cast(pa.int64()))
