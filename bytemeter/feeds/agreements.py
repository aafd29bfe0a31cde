"""The feed ``agreements``: who has which data plan from when on; a later message with an id is its next version."""

from __future__ import annotations

from bytemeter import instants
from bytemeter.feeds.data_records import NO_MSISDN
from bytemeter.feeds.feed import YEAR_2200_S, Feed, Rule
from bytemeter.feeds.fields import Field, Text, Whole, WholeList
from bytemeter.feeds.rules import (
    before,
    item_not_between,
    more_than,
    no_instant,
    no_zone,
    not_before,
    over,
    under,
    unknown_zone,
)

_MOST_LIMIT = 2**53
_MOST_PERCENT = 1_000
_MOST_THRESHOLDS = 20


def _instant_rules(column: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{column} is not a zoned instant", no_instant(column)),
        Rule(f"unknown zone in {column}", unknown_zone(column)),
        Rule(f"{column} before 1970", before(column, 0)),
        Rule(f"{column} after 2200", not_before(column, YEAR_2200_S)),
    )


AGREEMENTS = Feed(
    name="agreements",
    topic="agreements",
    fields=(
        Field("id", Text()),
        Field("msisdn", Text()),
        Field("signedAt", Text()),
        Field("serviceStartAt", Text()),
        Field("billingPeriodTimeZone", Text()),
        Field("maxBytesInBillingPeriod", Whole()),
        Field("thresholds", WholeList(), required=False),
        Field("anchorDay", Whole(), required=False),
        Field("effectiveFrom", Text(), required=False),
        Field("serviceEndAt", Text(), required=False),
    ),
    key="id",
    event_us=lambda records: instants.read(records.column("signedAt")),
    event_id=None,
    rules=(
        NO_MSISDN,
        *_instant_rules("signedAt"),
        *_instant_rules("serviceStartAt"),
        *_instant_rules("effectiveFrom"),
        *_instant_rules("serviceEndAt"),
        Rule("unknown billingPeriodTimeZone", no_zone("billingPeriodTimeZone")),
        Rule("negative maxBytesInBillingPeriod", under("maxBytesInBillingPeriod", 0)),
        Rule("maxBytesInBillingPeriod over 8 PiB", over("maxBytesInBillingPeriod", _MOST_LIMIT)),
        Rule(f"threshold not of 1 to {_MOST_PERCENT} percent", item_not_between("thresholds", 1, _MOST_PERCENT)),
        Rule(f"over {_MOST_THRESHOLDS} thresholds", more_than("thresholds", _MOST_THRESHOLDS)),
        Rule("anchorDay not of 1 to 31", under("anchorDay", 1)),
        Rule("anchorDay not of 1 to 31", over("anchorDay", 31)),
    ),
    live_query="data-plans",
    # An agreement may be signed ahead of time.
    clock_tolerance_s=None,
)
