"""Records into totals, as columns: windows of the live query, hours and months of the recomputes, by one rule."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import Feed

# From instants in microseconds since 1970 the starts of their windows in seconds since 1970. It may run on executors:
# it must pickle.
WindowStarts = Callable[[pa.ChunkedArray], pa.ChunkedArray]

TOTALS_SCHEMA = "type string, id string, window_s long, value long"
_KEY = ["type", "id", "window_s"]
_US = 1_000_000


def windows(window_s: int) -> WindowStarts:
    """Windows of so many seconds, counted from 1970."""
    # Valid records are after 1970: cut off is rounded down.
    return lambda us: pc.multiply(pc.divide(us, window_s * _US), window_s)


def month_starts(us: pa.ChunkedArray) -> pa.ChunkedArray:
    """Calendar months (UTC), see ``WindowStarts``."""
    months = pc.floor_temporal(us.cast(pa.timestamp("us")), unit="month")
    return pc.divide(months.cast(pa.int64()), _US)


def totals(feed: Feed, records: pa.Table, starts: WindowStarts) -> pa.Table:
    """Totals of the measure per dimension and window: a record counts once by each dimension.

    Args:
        records: valid ones: event_us: long, the measure and the dimensions.

    Returns:
        Rows of type: string, id: string, window_s: long (epoch seconds of the window's start), value: long (sum of the
        measure), each key once.
    """
    timed = records.append_column("window_s", starts(records.column("event_us")))
    return pa.concat_tables(_totals(timed, feed.usage.measure, d.type, d.column) for d in feed.usage.dimensions)


def summed(totals: pa.Table) -> pa.Table:
    """One row for each type, id and window of many totals."""
    added = totals.group_by(_KEY).aggregate([("value", "sum")])
    return added.select([*_KEY, "value_sum"]).rename_columns([*_KEY, "value"])


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
