"""What Spark makes of the messages of a feed with totals, and how the rows of a micro-batch are added up."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import functions as F

from bytemeter.feeds.feed import WINDOW_S, Feed
from bytemeter.parsing import Transformation
from speed_layer.received import identity, received


def usage_rows(feed: Feed) -> Transformation:
    """One row for each message.

    Returns:
        A transformation of parsed messages (see ``bytemeter.parsing.parse``) into the columns of
        ``speed_layer.received.received``, value: long (the measure), one text for each dimension of the feed, and of
        a feed with event ids those of ``speed_layer.received.identity``.
    """
    columns = [
        *received(),
        F.col(feed.usage.measure).alias("value"),
        *(F.col(dimension.column) for dimension in feed.usage.dimensions),
        *(identity(feed, feed.event_id) if feed.event_id else ()),
    ]
    return lambda parsed: parsed.select(*columns)


def totals(feed: Feed, records: pa.Table) -> pa.Table:
    """Add up the rows of valid records.

    Returns:
        Rows of type: string, id: string, window_s: long (epoch seconds of the window's start), value: long.
    """
    seconds = records.column("valid_s").to_numpy()
    timed = records.append_column("window_s", pa.array(seconds - seconds % WINDOW_S))
    return pa.concat_tables(_totals(timed, d.type, d.column) for d in feed.usage.dimensions)


def _totals(records: pa.Table, type_: str, column: str) -> pa.Table:
    added = records.group_by([column, "window_s"]).aggregate([("value", "sum")])
    return pa.table(
        {
            "type": pa.array([type_] * added.num_rows, pa.string()),
            "id": added.column(column),
            "window_s": added.column("window_s"),
            "value": added.column("value_sum"),
        }
    )
