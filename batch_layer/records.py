"""History rows into the records that count: once each, without what the live query refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.parsing import Transformation


def settled_records(feed: Feed, *, hours: Sequence[dt.datetime], below: Offsets, refused: DataFrame) -> Transformation:
    """Choose the records of some hours of one day that count.

    Left out are records at or past the offsets ``below`` (later than the snapshot), those at a position in
    ``refused`` (repeats by the order in which they were counted, and times that the clock refused), a second row of
    the same position, and of records with the same event id in the same hour all but the lowest (partition, offset).

    Args:
        hours: starts of hours (UTC), all of the same day.
        refused: rows of partition: int, record_offset: long, event_time: timestamp.

    Returns:
        A transformation of history rows (see ``bytemeter.history.history_rows``) into the feed's fields, partition,
        offset and epoch_s: long.
    """
    since, until = hours[0], hours[-1] + dt.timedelta(hours=1)

    def transformation(history: DataFrame) -> DataFrame:
        of_hours = history.where(
            (F.col("event_date") == F.lit(since.date())) & F.col("event_hour").isin([hour.hour for hour in hours])
        )
        excluded = refused.where((F.col("event_time") >= F.lit(since)) & (F.col("event_time") < F.lit(until))).select(
            "partition", F.col("record_offset").alias("offset")
        )
        counted = of_hours.where(_below(below)).join(excluded, ["partition", "offset"], "left_anti")
        return counted.select(
            "partition", "offset", *feed.schema.names, F.expr(feed.epoch_seconds).alias("epoch_s")
        ).transform(distinct_records(feed))

    return transformation


def distinct_records(feed: Feed) -> Transformation:
    """Keep one row of each position and of each event id within its hour: the lowest (partition, offset)."""

    def transformation(records: DataFrame) -> DataFrame:
        event_id = F.col(feed.event_id) if feed.event_id else F.lit(None).cast("string")
        position = [F.when(event_id.isNull(), F.col(name)) for name in ("partition", "offset")]
        hour = F.floor(F.col("epoch_s") / 3600)
        first = F.min_by(F.struct("*"), F.struct("partition", "offset")).alias("record")
        return records.groupBy(hour, event_id, *position).agg(first).select("record.*")

    return transformation


def _below(offsets: Offsets) -> Column:
    return reduce(
        lambda one, other: one | other,
        [(F.col("partition") == p) & (F.col("offset") < offset) for p, offset in offsets.items()],
        F.lit(False),
    )
