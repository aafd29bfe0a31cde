"""Records into totals, by Spark, for the batch layer; a live micro-batch is added up in memory by the same rule."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bytemeter.feeds.feed import Feed

Transformation = Callable[[DataFrame], DataFrame]


def window_start(window_s: int) -> Column:
    """Start, in epoch seconds (UTC), of the window of ``window_s`` seconds that holds ``epoch_s``."""
    # pmod, so that windows before 1970 start at or before their records, too.
    return F.col("epoch_s") - F.pmod(F.col("epoch_s"), F.lit(window_s))


def month_start() -> Column:
    """Start, in epoch seconds, of the calendar month (UTC) that holds ``epoch_s``."""
    return F.unix_seconds(F.date_trunc("month", F.timestamp_seconds("epoch_s")))


def totals(feed: Feed, window: Column) -> Transformation:
    """Totals of the measure per dimension and window: a record counts once by each dimension.

    Args:
        window: start of the record's window in epoch seconds.

    Returns:
        A transformation of valid records (the feed's fields and epoch_s: long) into rows of type: string, id: string,
        window_s: long (epoch seconds of the window's start), value: long (sum of the measure), records: long.
    """

    start = window.alias("window_s")
    facts = [F.struct(F.lit(d.type).alias("type"), F.col(d.column).alias("id"), start) for d in feed.usage.dimensions]

    def transformation(records: DataFrame) -> DataFrame:
        exploded = records.select(
            F.explode(F.array(*facts)).alias("fact"),
            F.col(feed.usage.measure).alias("measure"),
        )
        return exploded.groupBy("fact.type", "fact.id", "fact.window_s").agg(
            F.sum("measure").alias("value"), F.count(F.lit(1)).alias("records")
        )

    return transformation
