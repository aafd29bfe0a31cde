"""The feed ``data-records``: bytes that a subscriber used, to be counted against an agreement."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter import instants
from bytemeter.feeds.feed import MOST_BYTES, YEAR_2000_S, YEAR_2200_S, Feed, Rule
from bytemeter.feeds.fields import Field, Text, Whole
from bytemeter.feeds.rules import absent, over, under, unknown_zone, unlike

# E.164: at most 15 digits.
NO_MSISDN = Rule("msisdn is not 1 to 15 digits", unlike("msisdn", "[0-9]{1,15}"))


def internal_ids(records: pa.Table) -> pa.ChunkedArray:
    """The id of each record in threshold events and tables: its internalId, or its id where it has none."""
    return pc.coalesce(records.column("internalId"), records.column("id"))


DATA_RECORDS = Feed(
    name="data-records",
    topic="data-records",
    fields=(
        Field("id", Text()),
        Field("internalId", Text(), required=False),
        Field("msisdn", Text()),
        Field("recordedAt", Text()),
        Field("recordedBytes", Whole()),
    ),
    key="msisdn",
    event_us=lambda records: instants.read(records.column("recordedAt")),
    event_id="id",
    rules=(
        NO_MSISDN,
        Rule("recordedAt is not a zoned instant", absent("event_us")),
        Rule("unknown zone in recordedAt", unknown_zone("recordedAt")),
        Rule("recordedAt before 2000", under("event_us", YEAR_2000_S * 1_000_000)),
        Rule("recordedAt after 2200", over("event_us", YEAR_2200_S * 1_000_000 - 1)),
        Rule("negative recordedBytes", under("recordedBytes", 0)),
        Rule("recordedBytes over 1 TiB", over("recordedBytes", MOST_BYTES)),
    ),
    live_query="data-plans",
    assigned=("internalId",),
)
