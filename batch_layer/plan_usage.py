"""Data records into what each agreement used in each billing period, and where it crossed thresholds."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bytemeter.aggregations import Transformation


def owned_records(ownership: DataFrame) -> Transformation:
    """Find the owner of each record.

    Args:
        ownership: rows of msisdn: string, served_from_us: long, served_until_us: long, agreement_id: string,
            period_start: timestamp; the stretches of a number do not overlap.

    Returns:
        A transformation of data records (see ``batch_layer.records.settled_records``) into rows of
        agreement_id: string, period_start: timestamp, us: long (microseconds since 1970), internal_id: string,
        bytes: long; without those that nobody owns.
    """

    def transformation(records: DataFrame) -> DataFrame:
        judged = records.select(
            "msisdn",
            F.col("event_us").alias("us"),
            F.coalesce("internalId", "id").alias("internal_id"),
            F.col("recordedBytes").alias("bytes"),
        )
        serving = (F.col("served_from_us") <= F.col("us")) & (F.col("us") < F.col("served_until_us"))
        return judged.join(ownership, (judged.msisdn == ownership.msisdn) & serving).select(
            "agreement_id", "period_start", "us", "internal_id", "bytes"
        )

    return transformation


def usage_by_period(owned: DataFrame) -> DataFrame:
    """Total and latest record per agreement and billing period.

    Returns:
        Rows of agreement_id: string, period_start: timestamp, bytes: long, latest_us: long, latest: string.
    """
    return (
        owned.groupBy("agreement_id", "period_start")
        .agg(F.sum("bytes").alias("bytes"), F.max(_order()).alias("last"))
        .select(
            "agreement_id",
            "period_start",
            "bytes",
            F.col("last.us").alias("latest_us"),
            F.col("last.internal_id").alias("latest"),
        )
    )


def crossings(thresholds: DataFrame) -> Transformation:
    """Find the record at which the running total, in the order of (recordedAt, internalId), reaches each threshold.

    Args:
        thresholds: rows of agreement_id: string, period_start: timestamp, threshold_bytes: long; few.

    Returns:
        A transformation of owned records into rows of agreement_id, period_start, threshold_bytes, total: long,
        us: long, internal_id: string; without thresholds that were not reached.
    """

    def transformation(owned: DataFrame) -> DataFrame:
        chosen = F.broadcast(thresholds.select("agreement_id", "period_start").distinct())
        # The third key only makes the order of equal ones certain.
        running = F.expr(
            "sum(bytes) over (partition by agreement_id, period_start order by us, internal_id, bytes"
            " rows unbounded preceding)"
        )
        totals = owned.join(chosen, ["agreement_id", "period_start"]).withColumn("total", running)
        reached = totals.join(F.broadcast(thresholds), ["agreement_id", "period_start"]).where(
            F.col("total") >= F.col("threshold_bytes")
        )
        first = F.min(F.struct("us", "internal_id", "total")).alias("first")
        return (
            reached.groupBy("agreement_id", "period_start", "threshold_bytes")
            .agg(first)
            .select("agreement_id", "period_start", "threshold_bytes", "first.total", "first.us", "first.internal_id")
        )

    return transformation


def _order() -> Column:
    return F.struct("us", "internal_id")
