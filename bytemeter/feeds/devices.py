"""The feed ``devices``: bytes that a phone's app used over an antenna."""

from __future__ import annotations

import pyarrow.compute as pc

from bytemeter.feeds.feed import MOST_BYTES, YEAR_2000_S, YEAR_2200_S, Feed, Rule
from bytemeter.feeds.fields import Field, Text, Whole
from bytemeter.feeds.rules import over, under
from bytemeter.feeds.totals import Dimension, Quotas, Totals, TotalsTable
from bytemeter.windows import FIVE_MINUTES, HOUR, CalendarMonth

DEVICES = Feed(
    name="devices",
    topic="devices",
    fields=(
        Field("bytes", Whole()),
        Field("timestamp", Whole()),
        Field("app", Text()),
        Field("id", Text()),
        Field("antenna_id", Text()),
        Field("event_id", Text(), required=False),
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
    live_query="totals",
    totals=Totals(
        measure="bytes",
        dimensions=(
            Dimension("antenna_bytes_total", ("antenna_id",)),
            Dimension("app_bytes_total", ("app",)),
            Dimension("user_bytes_total", ("id",)),
        ),
        live=TotalsTable("bytes", FIVE_MINUTES),
        hourly=TotalsTable("bytes_hourly", HOUR),
        monthly=TotalsTable("bytes_monthly", CalendarMonth()),
        quotas=Quotas("user_bytes_total", "email_bytes_total"),
    ),
)
