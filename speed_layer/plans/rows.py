"""What Spark makes of agreements and data records: PostgreSQL then looks at each by itself."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from bytemeter.feeds import DATA_RECORDS
from bytemeter.instants import instant
from bytemeter.parsing import Transformation
from speed_layer.received import identity, received


def record_rows() -> Transformation:
    """One row for each message of ``data-records``.

    Returns:
        A transformation of parsed messages (see ``bytemeter.parsing.parse``) into the columns of
        ``speed_layer.received.received`` and ``identity``, msisdn: string, internal_id: string and value: long (bytes).
    """
    columns = [
        *received(),
        F.col("msisdn"),
        F.coalesce("internalId", "id").alias("internal_id"),
        F.col("recordedBytes").alias("value"),
        *identity(DATA_RECORDS, "id"),
    ]
    return lambda parsed: parsed.select(*columns)


def agreement_rows() -> Transformation:
    """One row for each message of ``agreements``.

    Returns:
        A transformation of parsed messages into the columns of ``speed_layer.received`` and agreement: string (JSON:
        id, msisdn, signed_us, start_us, zone, limit, thresholds, anchor_day), null of an invalid message.
    """
    agreement = F.when(F.col("reason").isNull(), F.to_json(_document())).alias("agreement")
    columns = [*received(), agreement]
    return lambda parsed: parsed.select(*columns)


def _document() -> Column:
    return F.struct(
        F.col("id"),
        F.col("msisdn"),
        _us("signedAt").alias("signed_us"),
        _us("serviceStartAt").alias("start_us"),
        F.col("billingPeriodTimeZone").alias("zone"),
        F.col("maxBytesInBillingPeriod").alias("limit"),
        F.col("thresholds"),
        F.col("anchorDay").alias("anchor_day"),
    )


def _us(column: str) -> Column:
    return F.expr(f"unix_micros({instant(column)})")
