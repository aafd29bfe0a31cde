"""Events judged by their feed's declaration, with the parser that judges them again in the stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds import Feed
from bytemeter.parsing import parse

# Kafka takes messages of up to 1 MB, with their keys and envelopes.
MOST_EVENT_BYTES = 900_000
# The stream's clock may be so much behind the collector's.
_CLOCKS_DIFFER_US = 60_000_000
_HOUR_US = 3_600_000_000
_MOST_SHOWN = 100
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TOO_LARGE = f"event over {MOST_EVENT_BYTES} bytes"


@dataclass(frozen=True)
class Judged:
    """What was found of each event, by place.

    Attributes:
        reasons: what is wrong with it; None if it is valid.
        ids: event ids, of valid events.
        keys: Kafka keys, of valid events.
        hours: event hours since 1970, of valid events.
    """

    reasons: list[str | None]
    ids: list[str | None]
    keys: list[str | None]
    hours: list[int | None]


def judge(feed: Feed, values: Sequence[bytes], now_us: int) -> Judged:
    """Judge events as the live query does.

    Args:
        now_us: the clock, in microseconds since 1970.
    """
    columns = judged_columns(feed, pa.array(values, pa.binary()), now_us)
    reasons, ids, keys, hours = (columns.column(name).to_pylist() for name in columns.column_names)
    return Judged(reasons, ids, keys, hours)


def judged_columns(feed: Feed, values: pa.BinaryArray, now_us: int) -> pa.Table:
    """Judge many events.

    Returns:
        For each event, in their order, a row of reason, id and key: string, and hour: long, as ``Judged`` has them.
    """
    count = len(values)
    large = pc.greater(pc.binary_length(values), MOST_EVENT_BYTES)
    has_large = pc.any(large).as_py()
    read = pc.if_else(large, pa.scalar(b"", pa.binary()), values) if has_large else values
    columns = [pa.repeat(pa.scalar(0, pa.int32()), count), pa.repeat(pa.scalar(0, pa.int64()), count)]
    messages = pa.table([*columns, read], ["partition", "offset", "value"])
    records = parse(feed, messages, now_us=now_us - _CLOCKS_DIFFER_US)
    reasons = records.column("reason").combine_chunks()
    if has_large:
        reasons = pc.if_else(large, _TOO_LARGE, reasons)
    instants = records.column("event_us").combine_chunks()
    hours = pa.array(
        instants.fill_null(0).to_numpy() // _HOUR_US, mask=instants.is_null().to_numpy(zero_copy_only=False)
    )
    ids, keys = _texts(records, feed.event_id), _texts(records, feed.key)
    if feed.key_else:
        keys = pc.coalesce(keys, records.column(feed.key_else))
    return pa.table([reasons, ids, keys, hours], ["reason", "id", "key", "hour"])


def field_of(feed: Feed, reason: str) -> str | None:
    """The field that a reason is about: reasons name it."""
    return _named(tuple(feed.names), reason)


def value_of(feed: Feed, field: str | None, event: bytes) -> str | None:
    """The beginning of what an event has in a field, as JSON; None if it has nothing there, or cannot be read."""
    path = next((known.path for known in feed.fields if known.name == field), ())
    found = msgspec.Raw(event)
    try:
        for member in path:
            found = _MEMBERS.decode(found)[member]
        return bytes(found).decode()[:_MOST_SHOWN] if path else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return None


@lru_cache(4_096)
def _named(fields: tuple[str, ...], reason: str) -> str | None:
    words = set(re.findall(r"[\w.-]+", reason))
    return next((name for name in fields if name in words), None)


def _texts(records: pa.Table, name: str | None) -> pa.Array | pa.ChunkedArray:
    if name is None:
        return pa.nulls(records.num_rows, pa.string())
    return records.column(name)
