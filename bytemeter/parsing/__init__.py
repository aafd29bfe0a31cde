"""Kafka messages into records: parsed and judged on executors, nothing repaired, nothing dropped.

Both streaming queries start here with many messages at a time as Arrow columns: about ten thousand in the live query,
all messages of a task in the history query.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import Feed, Kinds
from bytemeter.parsing.decoding import decode
from bytemeter.parsing.single import REASON

__all__ = ["parse", "valid"]


def parse(feed: Feed, messages: pa.Table, *, now_us: int | None = None) -> pa.Table:
    """Parse and judge messages of a feed's topic.

    Args:
        messages: rows of at least partition: int, offset: long and value: binary.
        now_us: the clock, in microseconds since 1970. Where it is given, event times that are further ahead of it than
            the feed tolerates are invalid. Only the live query judges by the clock; the history keeps such records, and
            recomputes leave out the records that the live query refused.

    Returns:
        For each message, in their order, a row of partition, offset, value: binary as received, the feed's fields (all
        nullable), event_us: long, the event time in microseconds since 1970, and reason: string, null if the record is
        valid. Fields and event time of an invalid record mean nothing.
    """
    fields = decode(feed.fields, messages.column("value").combine_chunks())
    records = messages.select(["partition", "offset", "value"])
    for name in feed.names:
        records = records.append_column(name, fields.column(name))
    records = records.append_column("event_us", feed.event_us(records))
    reason = _reason(feed, records, fields.column(REASON), now_us)
    if feed.kinds:
        reason = _reason_by_kind(feed.kinds, records, reason)
    return records.append_column(REASON, reason)


def valid(records: pa.Table) -> pa.Table:
    """The valid records of parsed messages."""
    return records.filter(pc.is_null(records.column(REASON)))


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
    for kind, validator in kinds.validators.items():
        is_judged = _flat(pc.fill_null(pc.and_(pc.equal(records.column(kinds.by), kind), pc.is_null(reason)), False))
        if pc.any(is_judged).as_py():
            reason = pc.replace_with_mask(reason, is_judged, _flat(validator(records.filter(is_judged))))
    return reason


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
