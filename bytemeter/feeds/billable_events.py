"""The feed ``billable-events``: what a customer is billed for, in exact amounts of money."""

from __future__ import annotations

import pyarrow.compute as pc

from bytemeter.feeds.feed import YEAR_2000_S, YEAR_2200_S, Feed, Rule
from bytemeter.feeds.fields import Decimal, Field, Text, Whole
from bytemeter.feeds.rules import none_of, over, under
from bytemeter.feeds.totals import Dimension, Totals, TotalsTable
from bytemeter.windows import HOUR, BillingMonth

TYPES = ("MESSAGE", "DATA", "CALL", "PACK", "MISC")

BILLABLE_EVENTS = Feed(
    name="billable-events",
    topic="billable-events",
    fields=(
        Field("timestamp", Whole()),
        Field("customer", Text()),
        # Euros. A negative amount is a credit.
        Field("amount", Decimal(digits=15, scale=6)),
        Field("type", Text()),
        Field("event_id", Text(), required=False),
    ),
    key="customer",
    event_us=lambda records: pc.multiply(records.column("timestamp"), 1_000_000),
    event_id="event_id",
    rules=(
        Rule(f"type is none of {', '.join(TYPES)}", none_of("type", TYPES)),
        Rule("timestamp before 2000", under("timestamp", YEAR_2000_S)),
        Rule("timestamp after 2200", over("timestamp", YEAR_2200_S - 1)),
    ),
    live_query="totals",
    totals=Totals(
        measure="amount",
        dimensions=(
            Dimension("customer", ("customer",)),
            Dimension("type", ("type",)),
            Dimension("customer_type", ("customer", "type")),
        ),
        live=TotalsTable("billable_monthly", BillingMonth(), type="dimension", start="month", value="total"),
        hourly=TotalsTable("billable_hourly", HOUR, type="dimension", value="total"),
        monthly=TotalsTable("billable_recomputed", BillingMonth(), type="dimension", start="month", value="total"),
    ),
)
