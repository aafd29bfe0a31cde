"""The feed ``devices``: bytes that a phone's app used over an antenna."""

from __future__ import annotations

from pyspark.sql.types import LongType, StringType, StructField, StructType

from bytemeter.feeds.feed import MOST_BYTES, YEAR_2000_S, YEAR_2200_S, Dimension, Feed, Rule, Totals

DEVICES = Feed(
    name="devices",
    topic="devices",
    schema=StructType(
        [
            StructField("bytes", LongType(), nullable=False),
            StructField("timestamp", LongType(), nullable=False),
            StructField("app", StringType(), nullable=False),
            StructField("id", StringType(), nullable=False),
            StructField("antenna_id", StringType(), nullable=False),
            StructField("event_id", StringType(), nullable=True),
        ]
    ),
    key="id",
    epoch_seconds="timestamp",
    event_id="event_id",
    rules=(
        Rule("negative bytes", "bytes < 0"),
        Rule("bytes over 1 TiB", f"bytes > {MOST_BYTES}"),
        Rule("timestamp before 2000", f"timestamp < {YEAR_2000_S}"),
        Rule("timestamp after 2200", f"timestamp >= {YEAR_2200_S}"),
    ),
    totals=Totals(
        measure="bytes",
        dimensions=(
            Dimension("antenna_bytes_total", "antenna_id"),
            Dimension("app_bytes_total", "app"),
            Dimension("user_bytes_total", "id"),
        ),
        live_table="bytes",
        hourly_table="bytes_hourly",
        monthly_table="bytes_monthly",
    ),
)
