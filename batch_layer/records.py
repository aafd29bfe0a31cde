"""History rows into the records that count: once each, without what the live query refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from bytemeter.aggregations import Transformation, window_start
from bytemeter.executors import mapped
from bytemeter.feeds import Feed
from bytemeter.feeds.feed import HOUR_S
from bytemeter.offset_log import Offsets

_HOUR = dt.timedelta(hours=1)
_MOST_BROADCAST = 1_000_000


@dataclass(frozen=True)
class Span:
    """[since, until) of event time, whole hours in UTC; ``hours`` names some of one day if not all are meant."""

    since: dt.datetime
    until: dt.datetime
    hours: tuple[int, ...] = ()

    @classmethod
    def of_hours(cls, hours: Sequence[dt.datetime]) -> Span:
        """Some hours, given by their starts in order, all of the same day."""
        return cls(hours[0], hours[-1] + _HOUR, tuple(hour.hour for hour in hours))

    def of_history(self) -> Column:
        """Predicate over history rows; reads only the dates and hours that are meant."""
        last = self.until - dt.timedelta(microseconds=1)
        days = F.col("event_date").between(F.lit(self.since.date()), F.lit(last.date()))
        if self.hours:
            return days & F.col("event_hour").isin(list(self.hours))
        return days & self.holds("event_time")

    def holds(self, time: str) -> Column:
        """Whether the timestamp column lies in the span."""
        return (F.col(time) >= F.lit(self.since)) & (F.col(time) < F.lit(self.until))


def settled_records(feed: Feed, *, span: Span, below: Offsets, refused: DataFrame) -> Transformation:
    """Choose the records of a span that count.

    Left out are records at or past the offsets ``below`` (later than the snapshot), those at a position in
    ``refused`` (repeats by the order in which they were counted, and times that the clock refused), a second row of
    the same position, and of records with the same event id in the same hour all but the lowest (partition, offset).

    Args:
        refused: rows of partition: int, record_offset: long, event_time: timestamp.

    Returns:
        A transformation of history rows (see ``bytemeter.history.History``) into the feed's fields, partition, offset,
        epoch_s: long and event_us: long, the event time in seconds and in microseconds since 1970.
    """

    def transformation(history: DataFrame) -> DataFrame:
        excluded = refused.where(span.holds("event_time")).select("partition", F.col("record_offset").alias("offset"))
        counted = history.where(span.of_history()).where(_below(below))
        return (
            counted.join(excluded, ["partition", "offset"], "left_anti")
            .select(
                "partition",
                "offset",
                *feed.schema.names,
                F.unix_seconds("event_time").alias("epoch_s"),
                F.unix_micros("event_time").alias("event_us"),
            )
            .transform(distinct_records(feed))
        )

    return transformation


def refused_events(session: SparkSession, jdbc: dict[str, str], feed: Feed, span: Span) -> DataFrame:
    """Positions of a span that the live query did not count.

    Returns:
        Rows of partition: int, record_offset: long, event_time: timestamp.
    """
    table = session.read.format("jdbc").options(**jdbc, dbtable="refused_events").load()
    chosen = table.where(F.col("feed") == feed.name).where(span.holds("event_time"))
    events = chosen.select("partition", "record_offset", "event_time")
    return joined_with_all(events, events.count())


def joined_with_all(rows: DataFrame, count: int) -> DataFrame:
    """Rows that are to be joined with all records: broadcast if they are few.

    Of a table of PostgreSQL Spark does not know how large it is; it would shuffle and sort all records.
    """
    return F.broadcast(rows) if count <= _MOST_BROADCAST else rows


def distinct_records(feed: Feed) -> Transformation:
    """Keep one row of each position and of each event id within its hour: the lowest (partition, offset).

    To group all records by their ids costs more than all else. So a number of 64 bits is made of what must not come
    twice; only records that share theirs with another are grouped, the others pass. The numbers that are shared are
    broadcast: 8 bytes for each id that comes again.
    """
    event_id = F.col(feed.event_id) if feed.event_id else F.lit(None).cast("string")
    position = [F.when(event_id.isNull(), F.col(name)) for name in ("partition", "offset")]
    identity = [window_start(HOUR_S), event_id, *position]

    def transformation(records: DataFrame) -> DataFrame:
        numbered = records.withColumn("number", F.xxhash64(*identity))
        numbers = numbered.select("number").repartition("number")
        shared = F.broadcast(mapped(numbers, _that_come_again, "number long", whole=True))
        alone = numbered.join(shared, "number", "left_anti").select(records.columns)
        others = numbered.join(shared, "number", "left_semi").select(records.columns)
        first = F.min_by(F.struct("*"), F.struct("partition", "offset")).alias("record")
        return alone.unionByName(others.groupBy(*identity).agg(first).select("record.*"))

    return transformation


def _that_come_again(rows: pa.Table) -> pa.Table:
    """Numbers that stand there more than once, each once."""
    numbers = np.sort(rows.column("number").to_numpy())
    return pa.table({"number": np.unique(numbers[1:][numbers[1:] == numbers[:-1]])})


def _below(offsets: Offsets) -> Column:
    return reduce(
        lambda one, other: one | other,
        [(F.col("partition") == p) & (F.col("offset") < offset) for p, offset in offsets.items()],
        F.lit(False),
    )
