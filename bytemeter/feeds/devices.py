"""The feed ``devices``: bytes that a phone's app used over an antenna."""

from __future__ import annotations

import pyarrow.compute as pc
from pyspark.sql.types import LongType, StringType, StructField, StructType

from bytemeter.feeds.feed import MOST_BYTES, YEAR_2000_S, YEAR_2200_S, Dimension, Feed, Rule, Totals
from bytemeter.feeds.rules import over, under

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
    event_us=lambda records: pc.multiply(records.column("timestamp"), 1_000_000),
    event_id="event_id",
    rules=(
        Rule("negative bytes", under("bytes", 0)),
        Rule("bytes over 1 TiB", over("bytes", MOST_BYTES)),
        Rule("timestamp before 2000", under("timestamp", YEAR_2000_S)),
        Rule("timestamp after 2200", over("timestamp", YEAR_2200_S - 1)),
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
