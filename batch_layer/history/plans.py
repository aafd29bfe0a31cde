"""Data records into the total of each billing period of each agreement, and into the crossings of thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.history.records import CountedRecords
from bytemeter.executors import Transformation
from bytemeter.feeds.data_records import internal_ids

_MOST_BROADCAST = 1_000_000


def data_records(records: CountedRecords) -> DataFrame:
    """The columns of data records that data plans need.

    Returns:
        Rows of msisdn: string, event_us: long (microseconds since 1970), internal_id: string, bytes: long.
    """
    fields = ["id", "internalId", "msisdn", "recordedBytes"]
    return records.map_tables(_chosen, fields, "msisdn string, event_us long, internal_id string, bytes long")


def broadcast_if_few(rows: DataFrame, count: int) -> DataFrame:
    """Mark rows that are joined with all records to be broadcast, if they are few.

    Spark does not know how large a table of PostgreSQL is: it would shuffle and sort all records.
    """
    return F.broadcast(rows) if count <= _MOST_BROADCAST else rows


def is_reached(total: Column, threshold_bytes: Column) -> Column:
    """Whether a total reaches a threshold: the SQL function ``is_reached`` (sql/migrations) as Spark computes it."""
    return total >= threshold_bytes


def owned_records(ownership: DataFrame) -> Transformation:
    """Find the owner of each record.

    Args:
        ownership: ownership spans, rows of msisdn: string, served_from_us: long, served_until_us: long,
            agreement_id: string, period_start: timestamp; the spans of an MSISDN do not overlap.

    Returns:
        A transformation of rows of ``data_records`` into rows of agreement_id: string, period_start: timestamp,
        event_us: long, internal_id: string, bytes: long; without records that have no owner.
    """

    def transformation(records: DataFrame) -> DataFrame:
        contained = (F.col("served_from_us") <= F.col("event_us")) & (F.col("event_us") < F.col("served_until_us"))
        return records.join(ownership, (records.msisdn == ownership.msisdn) & contained).select(
            "agreement_id", "period_start", "event_us", "internal_id", "bytes"
        )

    return transformation


def totals_by_period(owned: DataFrame, *, most: int) -> DataFrame:
    """The total and the latest record of each billing period.

    Spark adds up by hash only what has a fixed size. So the latest instant is found first, then the latest of the
    records at that instant.

    Args:
        owned: see ``owned_records``.
        most: an upper limit of the number of periods.

    Returns:
        Rows of agreement_id: string, period_start: timestamp, bytes: long, latest_us: long, latest: string.
    """
    period = ["agreement_id", "period_start"]
    totals = owned.groupBy(*period).agg(F.sum("bytes").alias("bytes"), F.max("event_us").alias("latest_us"))
    last_instants = totals.withColumnRenamed("latest_us", "event_us")
    return (
        owned.select(*period, "event_us", "internal_id")
        .join(broadcast_if_few(last_instants, most), [*period, "event_us"])
        .groupBy(*period, F.col("event_us").alias("latest_us"), "bytes")
        .agg(F.max("internal_id").alias("latest"))
        .select(*period, "bytes", "latest_us", "latest")
    )


def crossings(thresholds: DataFrame) -> Transformation:
    """Find the record at which the running total, in the order of (event_us, internal_id), reaches each threshold.

    Args:
        thresholds: rows of agreement_id: string, period_start: timestamp, threshold_bytes: long; few.

    Returns:
        A transformation of owned records into rows of agreement_id, period_start, threshold_bytes, total: long,
        event_us: long, internal_id: string; without thresholds that were not reached.
    """
    period = ["agreement_id", "period_start"]

    def transformation(owned: DataFrame) -> DataFrame:
        judged = F.broadcast(thresholds.select(*period).distinct())
        # Ordered by bytes, too: so the result is the same in each run where event_us and internal_id are equal.
        running = F.expr(
            "sum(bytes) over (partition by agreement_id, period_start order by event_us, internal_id, bytes"
            " rows unbounded preceding)"
        )
        reached = (
            owned.join(judged, period)
            .withColumn("total", running)
            .join(F.broadcast(thresholds), period)
            .where(is_reached(F.col("total"), F.col("threshold_bytes")))
        )
        first = F.min(F.struct("event_us", "internal_id", "total")).alias("first")
        return (
            reached.groupBy(*period, "threshold_bytes")
            .agg(first)
            .select(*period, "threshold_bytes", "first.total", "first.event_us", "first.internal_id")
        )

    return transformation


def _chosen(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for records in tables:
        yield pa.table(
            {
                "msisdn": records.column("msisdn"),
                "event_us": records.column("event_us"),
                "internal_id": internal_ids(records),
                "bytes": records.column("recordedBytes"),
            }
        )
