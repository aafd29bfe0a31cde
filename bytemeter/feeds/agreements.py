"""The feed ``agreements``: who has which data plan from when on; a later message with the same id replaces it."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType

from bytemeter.feeds.data_records import NO_MSISDN
from bytemeter.feeds.feed import YEAR_2200_S, Feed, Rule
from bytemeter.instants import instant, is_no_zone, malformed, zone_unknown

_MOST_LIMIT = 2**53
_MOST_PERCENT = 1_000
_MOST_THRESHOLDS = 20


def _instant_rules(column: str) -> tuple[Rule, ...]:
    epoch = f"unix_seconds({instant(column)})"
    return (
        Rule(f"{column} is not a zoned instant", f"{instant(column)} is null or {malformed(column)}"),
        Rule(f"unknown zone in {column}", zone_unknown(column)),
        Rule(f"{column} before 1970", f"{epoch} < 0"),
        Rule(f"{column} after 2200", f"{epoch} >= {YEAR_2200_S}"),
    )


AGREEMENTS = Feed(
    name="agreements",
    topic="agreements",
    schema=StructType(
        [
            StructField("id", StringType(), nullable=False),
            StructField("msisdn", StringType(), nullable=False),
            StructField("signedAt", StringType(), nullable=False),
            StructField("serviceStartAt", StringType(), nullable=False),
            StructField("billingPeriodTimeZone", StringType(), nullable=False),
            StructField("maxBytesInBillingPeriod", LongType(), nullable=False),
            StructField("thresholds", ArrayType(LongType()), nullable=True),
            StructField("anchorDay", LongType(), nullable=True),
        ]
    ),
    key="id",
    epoch_seconds=f"unix_seconds({instant('signedAt')})",
    event_id=None,
    rules=(
        NO_MSISDN,
        *_instant_rules("signedAt"),
        *_instant_rules("serviceStartAt"),
        Rule("unknown billingPeriodTimeZone", is_no_zone("billingPeriodTimeZone")),
        Rule("negative maxBytesInBillingPeriod", "maxBytesInBillingPeriod < 0"),
        Rule("maxBytesInBillingPeriod over 8 PiB", f"maxBytesInBillingPeriod > {_MOST_LIMIT}"),
        Rule(
            f"threshold not of 1 to {_MOST_PERCENT} percent",
            f"exists(thresholds, t -> t is null or t < 1 or t > {_MOST_PERCENT})",
        ),
        Rule(f"over {_MOST_THRESHOLDS} thresholds", f"size(thresholds) > {_MOST_THRESHOLDS}"),
        Rule("anchorDay not of 1 to 31", "anchorDay < 1 or anchorDay > 31"),
    ),
)
