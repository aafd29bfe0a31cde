"""The feed ``game-events``: what players of a game did, counted by the type of the event."""

from __future__ import annotations

import pyarrow.compute as pc

from bytemeter.feeds.feed import YEAR_2000_S, YEAR_2200_S, Feed, Rule
from bytemeter.feeds.fields import Field, Text, Whole
from bytemeter.feeds.rules import over, under
from bytemeter.feeds.totals import Dimension, Totals, TotalsTable
from bytemeter.windows import FIVE_MINUTES, HOUR

_OF_FEED = (("feed", "game-events"),)

GAME_EVENTS = Feed(
    name="game-events",
    topic="game-events",
    fields=(
        Field("event_id", Text(), required=False),
        Field("event_type", Text()),
        Field("timestamp", Whole()),
    ),
    key=None,
    event_us=lambda records: pc.multiply(records.column("timestamp"), 1_000_000),
    event_id="event_id",
    rules=(
        Rule("timestamp before 2000", under("timestamp", YEAR_2000_S)),
        Rule("timestamp after 2200", over("timestamp", YEAR_2200_S - 1)),
    ),
    live_query="totals",
    # An event's other members are the headers of a request: any names, any texts.
    keeps_raw=True,
    totals=Totals(
        measure=None,
        dimensions=(Dimension("event_type", ("event_type",)),),
        live=TotalsTable("event_counts", FIVE_MINUTES, type="dimension", constants=_OF_FEED),
        hourly=TotalsTable("event_counts_hourly", HOUR, type="dimension", constants=_OF_FEED),
    ),
)
