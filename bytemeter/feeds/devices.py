"""The feed ``devices``: bytes that a phone's app used over an antenna."""

from __future__ import annotations

from pyspark.sql.types import LongType, StringType, StructField, StructType

from bytemeter.feeds.feed import Dimension, Feed, Rule

# A total in a bigint holds eight million records of the largest size; more than that in five minutes is no usage.
_MOST_BYTES = 2**40
_YEAR_2000_S = 946_684_800
_YEAR_2200_S = 7_258_118_400

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
    measure="bytes",
    dimensions=(
        Dimension("antenna_bytes_total", "antenna_id"),
        Dimension("app_bytes_total", "app"),
        Dimension("user_bytes_total", "id"),
    ),
    rules=(
        Rule("negative bytes", "bytes < 0"),
        Rule("bytes over 1 TiB", f"bytes > {_MOST_BYTES}"),
        Rule("timestamp before 2000", f"timestamp < {_YEAR_2000_S}"),
        Rule("timestamp after 2200", f"timestamp >= {_YEAR_2200_S}"),
    ),
    live_table="bytes",
    batch_table="bytes_hourly",
)
