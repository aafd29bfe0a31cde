"""The feeds: one module each, all of them in ``FEEDS``."""

from __future__ import annotations

from bytemeter.errors import BytemeterError
from bytemeter.feeds.agreements import AGREEMENTS
from bytemeter.feeds.billable_events import BILLABLE_EVENTS
from bytemeter.feeds.data_records import DATA_RECORDS
from bytemeter.feeds.devices import DEVICES
from bytemeter.feeds.feed import Feed, Kinds, Rule
from bytemeter.feeds.fields import Decimal, Field, Number, Text, Whole, WholeList
from bytemeter.feeds.game_events import GAME_EVENTS
from bytemeter.feeds.telemetry import (
    TELEMETRY,
    TELEMETRY_BATCHES,
    TELEMETRY_DENORM,
    TELEMETRY_UNIQUE,
    with_schemas,
)
from bytemeter.feeds.totals import Dimension, Quotas, Totals, TotalsTable

FEEDS = {
    feed.name: feed
    for feed in (
        *(DEVICES, AGREEMENTS, DATA_RECORDS, GAME_EVENTS, BILLABLE_EVENTS),
        *(TELEMETRY_BATCHES, TELEMETRY, TELEMETRY_UNIQUE, TELEMETRY_DENORM),
    )
}

# The feeds whose records clients send; only live queries write to the topics of the other feeds.
TAKEN = {name: feed for name, feed in FEEDS.items() if not feed.derived}

__all__ = [
    "AGREEMENTS",
    "BILLABLE_EVENTS",
    "DATA_RECORDS",
    "DEVICES",
    "FEEDS",
    "GAME_EVENTS",
    "TAKEN",
    "TELEMETRY",
    "TELEMETRY_BATCHES",
    "TELEMETRY_DENORM",
    "TELEMETRY_UNIQUE",
    "Decimal",
    "Dimension",
    "Feed",
    "Field",
    "Kinds",
    "Number",
    "Quotas",
    "Rule",
    "Text",
    "Totals",
    "TotalsTable",
    "Whole",
    "WholeList",
    "feed_named",
    "with_schemas",
]


def feed_named(name: str) -> Feed:
    """The feed of that name.

    Raises:
        BytemeterError: no feed has this name; the message lists the feeds.
    """
    if name not in FEEDS:
        raise BytemeterError(f"no feed {name!r}; the feeds are {', '.join(FEEDS)}")
    return FEEDS[name]
