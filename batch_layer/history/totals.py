"""Records of the history into totals per dimension and window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.history.records import CountedRecords
from bytemeter.aggregations import TOTALS_SCHEMA, WindowStarts, summed, totals
from bytemeter.feeds import Feed

_HELD = 1_000_000


def totals_by_window(records: CountedRecords, starts: WindowStarts) -> DataFrame:
    """Totals of the feed's measure per dimension and window.

    Each task adds up its share, Spark what the tasks found.

    Returns:
        Rows of type: string, id: string, window_s: long (epoch seconds of the window's start), value: long.
    """
    feed = records.feed
    found = records.map_tables(lambda some: _added_up(feed, some, starts), feed.usage.columns, TOTALS_SCHEMA)
    return found.groupBy("type", "id", "window_s").agg(F.sum("value").alias("value"))


def _added_up(feed: Feed, records: Iterable[pa.Table], starts: WindowStarts) -> Iterator[pa.Table]:
    """The totals of all; of what is added up several parts are held, in sum at most some multiple of what they give."""
    parts: list[pa.Table] = []
    held, most = 0, _HELD
    for some in records:
        parts.append(totals(feed, some, starts))
        held += parts[-1].num_rows
        if held > most:
            parts = [summed(pa.concat_tables(parts))]
            held = parts[0].num_rows
            most = 2 * held + _HELD
    if parts:
        yield summed(pa.concat_tables(parts))
