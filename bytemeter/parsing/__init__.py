"""Kafka messages into records: parsed and judged, nothing repaired, nothing dropped.

Both streaming queries start here, on the executors, with many messages at a time as Arrow columns: some ten thousand of
the live query, all of a task of the history's. Most messages are canonical (see ``bytemeter.parsing.canonical``) and
are read all together; any other one is read by itself, to tell what is wrong with it or to find that it is good after
all.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.feed import Feed
from bytemeter.parsing.canonical import canonical, canonical_fields
from bytemeter.parsing.single import single_fields

REFUSED_BY_CLOCK = "timestamp over a day in the future"
_A_DAY_US = 86_400_000_000


def parse(feed: Feed, messages: pa.Table, *, now_us: int | None = None) -> pa.Table:
    """Parse and judge messages of a feed's topic.

    Args:
        messages: rows of at least partition: int, offset: long and value: binary.
        now_us: where given (microseconds since 1970), event times over a day after it are invalid. Only the live query
            judges by the clock; the history keeps such records, and the batch leaves out what the live query refused.

    Returns:
        For each message, in their order, a row of partition, offset, value: binary as received, the feed's fields (all
        nullable), event_us: long, the event time in microseconds since 1970, and reason: string, null if the record is
        valid. Fields and times of an invalid record mean nothing.
    """
    fields = _fields(feed, messages.column("value").combine_chunks())
    records = messages.select(["partition", "offset", "value"])
    for name in feed.schema.names:
        records = records.append_column(name, fields.column(name))
    records = records.append_column("event_us", feed.event_us(records))
    return records.append_column("reason", _reason(feed, records, fields.column("reason"), now_us))


def valid(records: pa.Table) -> pa.Table:
    """The valid ones of parsed messages."""
    return records.filter(pc.is_null(records.column("reason")))


def _fields(feed: Feed, values: pa.BinaryArray) -> pa.Table:
    """The feed's fields, and reason: what is wrong with a message that has not got them."""
    together = canonical(feed, values)
    alone = single_fields(feed, values.filter(pc.invert(together)).to_pylist())
    if alone.num_rows == len(values):
        return alone
    fields = canonical_fields(feed, values.filter(together))
    fields = fields.append_column("reason", pa.nulls(fields.num_rows, pa.string()))
    if not alone.num_rows:
        return fields
    numbers = np.concatenate([np.flatnonzero(together), np.flatnonzero(pc.invert(together))])
    return pa.concat_tables([fields, alone]).combine_chunks().take(np.argsort(numbers))


def _reason(feed: Feed, records: pa.Table, reason: pa.ChunkedArray, now_us: int | None) -> pa.ChunkedArray:
    """What is wrong with the message; if nothing is, the first rule that its record violates."""
    rules = [(rule.reason, rule.violated) for rule in feed.rules]
    if now_us is not None:
        rules.append((REFUSED_BY_CLOCK, lambda them: pc.greater(them.column("event_us"), now_us + _A_DAY_US)))
    for told, violated in rules:
        found = pc.fill_null(violated(records), False)
        if pc.any(found).as_py():
            reason = pc.if_else(pc.and_(found, pc.is_null(reason)), told, reason)
    return reason
