"""Kafka messages into records: parsed and judged on executors, nothing repaired, nothing dropped.

Both streaming queries start here with many messages at a time as Arrow columns: about ten thousand in the live query,
all messages of a task in the history query.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import Feed, Kinds
from bytemeter.parsing.decoding import decode
from bytemeter.parsing.single import REASON

__all__ = ["parse", "received_us", "valid"]


def parse(feed: Feed, messages: pa.Table, *, now_us: int | None = None) -> pa.Table:
    """Parse and judge messages of a feed's topic.

    Args:
        messages: rows of at least partition: int, offset: long and value: binary; where it is known also timestamp,
            when Kafka received them.
        now_us: the clock, in microseconds since 1970. Where it is given, event times that are further ahead of it than
            the feed tolerates are invalid. Only the live query judges by the clock; the history keeps such records, and
            recomputes leave out the records that the live query refused.

    Returns:
        For each message, in their order, a row of partition, offset, value: binary as received, the feed's fields (all
        nullable), event_us: long, the event time in microseconds since 1970, and reason: string, null if the record is
        valid. Fields and event time of an invalid record mean nothing. The event id is null of records that have none
        (``Feed.without_id``).
    """
    values = messages.column("value").combine_chunks()
    fields = decode(feed.fields, feed.read_as(values) if feed.read_as else values)
    records = messages.select(["partition", "offset", "value"])
    for name in feed.names:
        records = records.append_column(name, fields.column(name))
    if feed.without_id:
        records = _without_ids(feed, records, feed.without_id(records))
    event_us = feed.event_us(records.append_column("received_us", received_us(messages)))
    records = records.append_column("event_us", event_us)
    reason = _reason(feed, records, fields.column(REASON), now_us)
    if feed.kinds:
        reason = _reason_by_kind(feed.kinds, records, reason)
    return records.append_column(REASON, reason)


def valid(records: pa.Table) -> pa.Table:
    """The valid records of parsed messages."""
    return records.filter(pc.is_null(records.column(REASON)))


def _without_ids(feed: Feed, records: pa.Table, without_id: pa.Array | pa.ChunkedArray) -> pa.Table:
    if feed.event_id is None or not pc.any(without_id).as_py():
        return records
    ids = pc.if_else(pc.fill_null(without_id, False), pa.scalar(None, pa.string()), records.column(feed.event_id))
    return records.set_column(records.schema.get_field_index(feed.event_id), feed.event_id, ids)


def received_us(messages: pa.Table) -> pa.Array | pa.ChunkedArray:
    """When Kafka received messages, in microseconds since 1970; null where the column ``timestamp`` is missing."""
    if "timestamp" not in messages.column_names:
        return pa.nulls(messages.num_rows, pa.int64())
    return messages.column("timestamp").cast(pa.timestamp("us", "UTC")).cast(pa.int64())


def _reason(feed: Feed, records: pa.Table, reason: pa.ChunkedArray, now_us: int | None) -> pa.ChunkedArray:
    """What is wrong with the message; of a well-formed one the first rule that the record violates."""
    violations = [(rule.reason, rule.violated(records)) for rule in feed.rules]
    if now_us is not None and feed.clock_tolerance_s is not None:
        latest_us = now_us + feed.clock_tolerance_s * 1_000_000
        violations.append((feed.clock_reason, pc.greater(records.column("event_us"), latest_us)))
    for violated_reason, violated in violations:
        is_violated = pc.fill_null(violated, False)
        if pc.any(is_violated).as_py():
            reason = pc.if_else(pc.and_(is_violated, pc.is_null(reason)), violated_reason, reason)
    return reason


def _reason_by_kind(kinds: Kinds, records: pa.Table, reason: pa.ChunkedArray) -> pa.ChunkedArray:
    """The reason, also of records that the validator of their kind refuses."""
    number = pc.index_in(records.column(kinds.by), value_set=pa.array(kinds.validators, pa.string()))
    numbers = pc.fill_null(pc.if_else(pc.is_null(reason), number, None), -1).to_numpy()
    # One kind after the other, so that all rows are taken at once.
    order = np.argsort(numbers, kind="stable")
    order = order[np.searchsorted(numbers[order], 0) :]
    if not len(order):
        return reason
    judged = (records if kinds.columns is None else records.select([*kinds.columns])).take(order)
    cuts = np.searchsorted(numbers[order], np.arange(len(kinds.validators) + 1))
    parts = [
        _flat(validator(judged.slice(start, end - start)))
        for validator, (start, end) in zip(kinds.validators.values(), pairwise(cuts), strict=True)
        if start < end
    ]
    places = np.full(len(numbers), -1)
    places[order] = np.arange(len(order))
    found = pa.concat_arrays(parts).take(pa.array(places, mask=places < 0))
    return pc.coalesce(reason, found)


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
