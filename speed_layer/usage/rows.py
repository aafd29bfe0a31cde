"""What executors make of the messages of a feed with totals, and how records are added up."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import WINDOW_S, Feed
from bytemeter.parsing import parse, valid
from speed_layer.blocks import Parts
from speed_layer.received import account_parts, identity

_TOTALS = ["type", "id", "window_s"]


def usage_parts(feed: Feed, messages: pa.Table) -> Parts:
    """What is to be counted of messages of a feed.

    Returns:
        received, invalid: see ``speed_layer.received.account_parts``; totals: those of records without an id, which
        count in any case (see ``totals``); identified: a row for each record with an id, of the columns of
        ``speed_layer.received.identity``, the measure and the dimensions.
    """
    parsed = parse(feed, messages, now_us=time.time_ns() // 1_000)
    records = valid(parsed)
    parts = account_parts(parsed)
    if feed.event_id is None:
        return {**parts, "totals": totals(feed, records)}
    has_id = pc.is_valid(records.column(feed.event_id))
    with_id = records.filter(has_id)
    counted = {name: with_id.column(name) for name in (feed.usage.measure, *(d.column for d in feed.usage.dimensions))}
    return {
        **parts,
        "totals": totals(feed, records.filter(pc.invert(has_id))),
        "identified": pa.table({**identity(feed, feed.event_id, with_id), **counted}),
    }


def totals(feed: Feed, records: pa.Table) -> pa.Table:
    """Add up records (event_us, the measure and the dimensions).

    Returns:
        Rows of type: string, id: string, window_s: long (epoch seconds of the window's start), value: long.
    """
    window_us = WINDOW_S * 1_000_000
    # Valid records are after 1970: cut off is rounded down.
    starts = pc.multiply(pc.divide(records.column("event_us"), window_us), WINDOW_S)
    timed = records.append_column("window_s", starts)
    return pa.concat_tables(_totals(timed, feed.usage.measure, d.type, d.column) for d in feed.usage.dimensions)


def summed(totals: pa.Table) -> pa.Table:
    """One row for each type, id and window of many totals."""
    added = totals.group_by(_TOTALS).aggregate([("value", "sum")])
    return added.select([*_TOTALS, "value_sum"]).rename_columns([*_TOTALS, "value"])


def as_windows(totals: pa.Table) -> pa.Table:
    """Totals as rows of a live table, their timestamps as texts."""
    starts = totals.column("window_s").combine_chunks().dictionary_encode()
    # Windows are few: a timestamp is written once for each, and not for each total.
    texts = pc.strftime(starts.dictionary.cast(pa.timestamp("s", "UTC")), "%Y-%m-%d %H:%M:%S%z")
    return totals.set_column(totals.schema.get_field_index("window_s"), "timestamp", texts.take(starts.indices))


def _totals(records: pa.Table, measure: str, type_: str, column: str) -> pa.Table:
    added = records.group_by([column, "window_s"]).aggregate([(measure, "sum")])
    return pa.table(
        {
            "type": pa.array([type_] * added.num_rows, pa.string()),
            "id": added.column(column),
            "window_s": added.column("window_s"),
            "value": added.column(f"{measure}_sum"),
        }
    )
