"""The feed ``data-records``: bytes that a subscriber used, to be counted against an agreement."""

from __future__ import annotations

from pyspark.sql.types import LongType, StringType, StructField, StructType

from bytemeter.feeds.feed import MOST_BYTES, YEAR_2000_S, YEAR_2200_S, Feed, Rule
from bytemeter.instants import instant, malformed, zone_unknown

# E.164: at most 15 digits.
NO_MSISDN = Rule("msisdn is not 1 to 15 digits", "not msisdn rlike '^[0-9]{1,15}$'")

DATA_RECORDS = Feed(
    name="data-records",
    topic="data-records",
    schema=StructType(
        [
            StructField("id", StringType(), nullable=False),
            StructField("internalId", StringType(), nullable=True),
            StructField("msisdn", StringType(), nullable=False),
            StructField("recordedAt", StringType(), nullable=False),
            StructField("recordedBytes", LongType(), nullable=False),
        ]
    ),
    key="msisdn",
    epoch_seconds="epoch_us div 1000000",
    epoch_micros=f"unix_micros({instant('recordedAt')})",
    event_id="id",
    rules=(
        NO_MSISDN,
        Rule("recordedAt is not a zoned instant", f"epoch_s is null or {malformed('recordedAt')}"),
        Rule("unknown zone in recordedAt", zone_unknown("recordedAt")),
        Rule("recordedAt before 2000", f"epoch_s < {YEAR_2000_S}"),
        Rule("recordedAt after 2200", f"epoch_s >= {YEAR_2200_S}"),
        Rule("negative recordedBytes", "recordedBytes < 0"),
        Rule("recordedBytes over 1 TiB", f"recordedBytes > {MOST_BYTES}"),
    ),
    assigned=("internalId",),
)
