"""Data records into what each agreement used in each billing period, and where it crossed thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.history.records import CountedRecords
from bytemeter.executors import Transformation
from bytemeter.feeds.data_records import internal_ids

_MOST_BROADCAST = 1_000_000


def data_records(records: CountedRecords) -> DataFrame:
    """What is to be known of data records.

    Returns:
        Rows of msisdn: string, us: long (microseconds since 1970), internal_id: string, bytes: long.
    """
    columns = ["id", "internalId", "msisdn", "recordedBytes"]
    return records.map_tables(_judged, columns, "msisdn string, us long, internal_id string, bytes long")


def joined_with_all(rows: DataFrame, count: int) -> DataFrame:
    """Rows that are to be joined with all records: broadcast if they are few.

    Of a table of PostgreSQL Spark does not know how large it is; it would shuffle and sort all records.
    """
    return F.broadcast(rows) if count <= _MOST_BROADCAST else rows


def owned_records(ownership: DataFrame) -> Transformation:
    """Find the owner of each record.

    Args:
        ownership: rows of msisdn: string, served_from_us: long, served_until_us: long, agreement_id: string,
            period_start: timestamp; the stretches of a number do not overlap.

    Returns:
        A transformation of rows of ``data_records`` into rows of agreement_id: string, period_start: timestamp,
        us: long, internal_id: string, bytes: long; without those that nobody owns.
    """

    def transformation(records: DataFrame) -> DataFrame:
        serving = (F.col("served_from_us") <= F.col("us")) & (F.col("us") < F.col("served_until_us"))
        return records.join(ownership, (records.msisdn == ownership.msisdn) & serving).select(
            "agreement_id", "period_start", "us", "internal_id", "bytes"
        )

    return transformation


def usage_by_period(owned: DataFrame, *, most: int) -> DataFrame:
    """Total and latest record per agreement and billing period.

    Spark adds up by hash only what has a fixed size. So the latest instant is found first, then the latest of the
    records at that instant.

    Args:
        most: there are at most so many periods.

    Returns:
        Rows of agreement_id: string, period_start: timestamp, bytes: long, latest_us: long, latest: string.
    """
    period = ["agreement_id", "period_start"]
    totals = owned.groupBy(*period).agg(F.sum("bytes").alias("bytes"), F.max("us").alias("latest_us"))
    at_the_end = totals.withColumnRenamed("latest_us", "us")
    return (
        owned.select(*period, "us", "internal_id")
        .join(joined_with_all(at_the_end, most), [*period, "us"])
        .groupBy(*period, F.col("us").alias("latest_us"), "bytes")
        .agg(F.max("internal_id").alias("latest"))
        .select(*period, "bytes", "latest_us", "latest")
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


def _judged(records: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for some in records:
        yield pa.table(
            {
                "msisdn": some.column("msisdn"),
                "us": some.column("event_us"),
                "internal_id": internal_ids(some),
                "bytes": some.column("recordedBytes"),
            }
        )
