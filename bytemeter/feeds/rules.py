"""Building blocks of rules: functions that return, for records as columns, which of them violate the rule."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter import instants

Violated = Callable[[pa.Table], pa.Array | pa.ChunkedArray]


def under(column: str, least: int) -> Violated:
    """The value is less than ``least``."""
    return lambda records: pc.less(records.column(column), least)


def over(column: str, most: int) -> Violated:
    """The value is greater than ``most``."""
    return lambda records: pc.greater(records.column(column), most)


def at_least(column: str, least: float) -> Violated:
    """The value is ``least`` or greater."""
    return lambda records: pc.greater_equal(records.column(column), least)


def longer(column: str, most: int) -> Violated:
    """The bytes are more than ``most``."""
    return lambda records: pc.greater(pc.binary_length(records.column(column)), most)


def unlike(column: str, pattern: str) -> Violated:
    """The whole text does not match the regular expression."""
    return lambda records: pc.invert(pc.match_substring_regex(records.column(column), f"^(?:{pattern})$"))


def none_of(column: str, values: Collection[str]) -> Violated:
    """The text is none of the values."""
    allowed = pa.array(values, pa.string())
    return lambda records: pc.invert(pc.is_in(records.column(column), allowed))


def absent(column: str) -> Violated:
    """The value is null."""
    return lambda records: pc.is_null(records.column(column))


def no_instant(column: str) -> Violated:
    """The text is there, and not a zoned instant."""

    def violated(records: pa.Table) -> pa.Array:
        texts = records.column(column)
        return pc.and_(pc.is_valid(texts), pc.is_null(instants.read(texts)))

    return violated


def before(column: str, at_s: int) -> Violated:
    """The text is a zoned instant before ``at_s`` (seconds since 1970)."""
    return lambda records: pc.less(instants.read(records.column(column)), at_s * 1_000_000)


def not_before(column: str, at_s: int) -> Violated:
    """The text is a zoned instant at or after ``at_s`` (seconds since 1970)."""
    return lambda records: pc.greater_equal(instants.read(records.column(column)), at_s * 1_000_000)


def unknown_zone(column: str) -> Violated:
    """The zone in brackets of the instant is not an IANA time zone."""
    return lambda records: instants.with_unknown_zone(records.column(column))


def no_zone(column: str) -> Violated:
    """The text is not the name of an IANA time zone."""
    return lambda records: instants.are_no_zones(records.column(column))


def more_than(column: str, most: int) -> Violated:
    """The list has more items than ``most``."""
    return lambda records: pc.greater(pc.list_value_length(records.column(column)), most)


def item_not_between(column: str, least: int, most: int) -> Violated:
    """An item of the list is null, less than ``least`` or greater than ``most``."""

    def violated(records: pa.Table) -> pa.Array:
        lists = records.column(column)
        items = pc.list_flatten(lists)
        wrong = pc.fill_null(pc.or_(pc.less(items, least), pc.greater(items, most)), True)
        is_violated = np.zeros(len(lists), bool)
        is_violated[pc.list_parent_indices(lists).filter(wrong).to_numpy()] = True
        return pa.array(is_violated)

    return violated
