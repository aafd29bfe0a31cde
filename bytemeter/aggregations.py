"""Records into totals, as Arrow columns: one set of functions for the live query and for the recomputes."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import Feed
from bytemeter.feeds.totals import Dimension
from bytemeter.windows import Window

_KEY = ["type", "id", "window_s"]
# Eight thousand durations of this size, in thousandths, fit into 64 bits.
_MOST_OF_A_NUMBER = float(2**40)


def totals(feed: Feed, records: pa.Table, window: Window) -> pa.Table:
    """Add up the measure per dimension and window: each record counts once in each dimension whose fields it has.

    Args:
        feed: one that has totals.
        records: valid records: event_us: long, the measure and the fields of the dimensions.

    Returns:
        Rows of type: string, id: string, window_s: long (start of the window in seconds since 1970) and value: the
        feed's ``total_type``, each key once.
    """
    if feed.totals is None:
        raise ValueError(f"feed {feed.name} has no totals")
    timed = records.append_column("window_s", window.starts(records.column("event_us")))
    if feed.totals.measure:
        # The sum of many decimals has more digits than each of them.
        measure = timed.column(feed.totals.measure).cast(feed.total_type)
        timed = timed.set_column(timed.schema.get_field_index(feed.totals.measure), feed.totals.measure, measure)
    return pa.concat_tables(_by_dimension(feed, timed, dimension) for dimension in feed.totals.dimensions)


def summed(totals: pa.Table) -> pa.Table:
    """Add up totals of the same type, id and window; each key is once in the result."""
    added = totals.group_by(_KEY).aggregate([("value", "sum")])
    return added.select([*_KEY, "value_sum"]).rename_columns([*_KEY, "value"])


def totals_schema(feed: Feed) -> str:
    """The columns of ``totals`` as Spark's DDL."""
    type_ = feed.total_type
    value = f"decimal({type_.precision}, {type_.scale})" if pa.types.is_decimal(type_) else "long"
    return f"type string, id string, window_s long, value {value}"


def _by_dimension(feed: Feed, records: pa.Table, dimension: Dimension) -> pa.Table:
    measure = dimension.measure or (feed.totals.measure if feed.totals else None)
    if dimension.where:
        field, value = dimension.where
        records = records.filter(pc.equal(records.column(field), value))
    if dimension.measure:
        records = _measured(records, dimension.measure)
    aggregation = (measure, "sum") if measure else ([], "count_all")
    added = records.group_by([*dimension.fields, "window_s"]).aggregate([aggregation])
    ids = _joined([added.column(name) for name in dimension.fields])
    if ids.null_count:
        # Records without an optional field of the dimension.
        is_there = pc.is_valid(ids)
        added, ids = added.filter(is_there), ids.filter(is_there)
    return pa.table(
        {
            "type": pa.array([dimension.type] * added.num_rows, pa.string()),
            "id": ids,
            "window_s": added.column("window_s"),
            "value": added.column(f"{measure}_sum" if measure else "count_all"),
        }
    )


def _measured(records: pa.Table, measure: str) -> pa.Table:
    """The records that have the measure of a dimension, as whole numbers, see ``Dimension.measure``."""
    values = records.column(measure)
    if pa.types.is_floating(values.type):
        thousandths = pc.round(pc.multiply(values, 1_000.0))
        usable = pc.and_(pc.greater_equal(values, 0.0), pc.less_equal(values, _MOST_OF_A_NUMBER))
        values = pc.if_else(usable, thousandths, pa.scalar(None, pa.float64())).cast(pa.int64())
    measured = records.set_column(records.schema.get_field_index(measure), measure, values)
    return measured.filter(pc.is_valid(values))


def _joined(values: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """The ids of totals, see ``Dimension.fields``; null where one of the values is null."""
    if len(values) == 1:
        return values[0]
    escaped = [pc.replace_substring(pc.replace_substring(column, "%", "%25"), "/", "%2F") for column in values]
    return pc.binary_join_element_wise(*escaped, "/")
