"""What executors make of the messages of a feed with totals: sums of records without an event id, rows of records with
one."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.aggregations import totals
from bytemeter.feeds import Feed
from bytemeter.parsing import parse, valid
from speed_layer.executor.accounts import account_parts, identity
from speed_layer.executor.blocks import Parts

_HOUR_US = 3_600_000_000


def totals_parts(feed: Feed, messages: pa.Table) -> Parts:
    """Parse and judge messages, and add up the records that need no deduplication.

    Returns:
        received, invalid: see ``speed_layer.executor.accounts.account_parts``.
        totals: of the records without an event id, by live window (see ``bytemeter.aggregations.totals``).
        hours: hour: long, the event hours (since 1970) of these records, each once.
        identified: a row for each other record: the columns of
        ``speed_layer.executor.accounts.identity``, the measure and the fields of the dimensions.
    """
    return parts_of_records(feed, parse(feed, messages, now_us=time.time_ns() // 1_000))


def parts_of_records(feed: Feed, parsed: pa.Table) -> Parts:
    """The parts of ``totals_parts``, of messages that were parsed."""
    # Without what they were read from, whose copy would cost more than all else.
    records = valid(parsed.drop_columns(["value"]))
    parts = account_parts(feed, parsed)
    if feed.event_id is None:
        return {**parts, **_added_up(feed, records)}
    identifiable = pc.is_valid(records.column(feed.event_id))
    with_id = records.filter(identifiable)
    columns = {name: with_id.column(name) for name in feed.totals.fields} if feed.totals else {}
    return {
        **parts,
        **_added_up(feed, records.filter(pc.invert(identifiable))),
        "identified": pa.table({**identity(feed, feed.event_id, with_id), **columns}),
    }


def event_hours(event_us: pa.ChunkedArray) -> pa.ChunkedArray:
    """The different event hours (since 1970) of event times in microseconds since 1970."""
    return pc.unique(pc.divide(event_us, _HOUR_US))


def _added_up(feed: Feed, records: pa.Table) -> Parts:
    if feed.totals is None:
        raise ValueError(f"feed {feed.name} has no totals")
    return {
        "totals": totals(feed, records, feed.totals.live.window),
        "hours": pa.table({"hour": event_hours(records.column("event_us"))}),
    }
