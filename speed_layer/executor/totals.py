"""What executors make of the messages of a feed with totals, and totals as rows of their table."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.aggregations import totals, windows
from bytemeter.feeds.feed import WINDOW_S, Feed
from bytemeter.parsing import parse, valid
from speed_layer.executor.accounts import account_parts, identity
from speed_layer.executor.blocks import Parts

LIVE_WINDOWS = windows(WINDOW_S)


def totals_parts(feed: Feed, messages: pa.Table) -> Parts:
    """What is to be counted of messages of a feed.

    Returns:
        received, invalid: see ``speed_layer.accounts.account_parts``; totals: those of records without an id, which
        count in any case (see ``bytemeter.aggregations.totals``); identified: a row for each record with an id, of the
        columns of ``speed_layer.accounts.identity``, the measure and the dimensions.
    """
    parsed = parse(feed, messages, now_us=time.time_ns() // 1_000)
    records = valid(parsed)
    parts = account_parts(parsed)
    if feed.event_id is None:
        return {**parts, "totals": totals(feed, records, LIVE_WINDOWS)}
    has_id = pc.is_valid(records.column(feed.event_id))
    with_id = records.filter(has_id)
    counted = {name: with_id.column(name) for name in feed.usage.columns}
    return {
        **parts,
        "totals": totals(feed, records.filter(pc.invert(has_id)), LIVE_WINDOWS),
        "identified": pa.table({**identity(feed, feed.event_id, with_id), **counted}),
    }
