"""Records of the history into totals per dimension and window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.history.records import CountedRecords
from bytemeter.aggregations import summed, totals, totals_schema
from bytemeter.feeds import Feed
from bytemeter.windows import Window

_MOST_HELD = 1_000_000


def totals_by_window(records: CountedRecords, window: Window) -> DataFrame:
    """Add up the feed's measure per dimension and window: each task its share, then Spark the results of the tasks.

    Returns:
        Rows of type: string, id: string, window_s: long (start of the window in seconds since 1970), value: long or
        decimal (see ``bytemeter.aggregations.totals_schema``), each key once.
    """
    feed = records.feed
    fields = feed.totals.fields if feed.totals else []
    partial_sums = records.map_tables(lambda tables: _added_up(feed, tables, window), fields, totals_schema(feed))
    return partial_sums.groupBy("type", "id", "window_s").agg(F.sum("value").alias("value"))


def _added_up(feed: Feed, tables: Iterable[pa.Table], window: Window) -> Iterator[pa.Table]:
    """The totals of all tables together. At most twice as many partial totals are held as there are different keys."""
    partial_sums: list[pa.Table] = []
    held, most = 0, _MOST_HELD
    for records in tables:
        partial_sums.append(totals(feed, records, window))
        held += partial_sums[-1].num_rows
        if held > most:
            partial_sums = [summed(pa.concat_tables(partial_sums))]
            held = partial_sums[0].num_rows
            most = 2 * held + _MOST_HELD
    if partial_sums:
        yield summed(pa.concat_tables(partial_sums))
