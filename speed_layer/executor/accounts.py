"""The parts and columns that executors make for every feed: accounts, invalid messages, deduplication columns."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds import Feed
from bytemeter.hashing import hashes
from speed_layer.executor.blocks import Parts, ToParts

# Keys of the hashes that are stored in seen_ids; they must never change. Two hashes make the 16 bytes of an event id.
_ID_KEYS = ("bytemeter's id 0", "bytemeter's id 1")
_CONTENT_KEY = "bytemeter record"
_NO_TIME = pa.scalar(None, pa.int64())


def account_parts(feed: Feed, records: pa.Table) -> dict[str, pa.Table]:
    """The two parts that every feed has.

    Args:
        records: parsed messages, see ``bytemeter.parsing.parse``.

    Returns:
        received: a row per partition, of partition: int, received: long and invalid: long (messages), latest_us: long
        (the latest event time of a valid record, microseconds since 1970; null without one);
        invalid: a row per invalid message, of partition: int, record_offset: long, reason: string, payload: binary (the
        message as received), length: long (bytes), digest: binary (SHA-256 of the message), event_us: long (null unless
        the reason is ``Feed.clock_reason``). Of a tombstone payload, length and digest are null.
    """
    return {"received": _received(records), "invalid": _invalid(feed, records)}


def with_cut_payloads(to_parts: ToParts, most_bytes: int, messages: pa.Table) -> Parts:
    """The parts of messages, of each invalid message only so many bytes as payload; its length and digest stay."""
    parts = to_parts(messages)
    invalid = parts["invalid"]
    column = invalid.schema.get_field_index("payload")
    payload = pc.binary_slice(invalid.column(column), 0, most_bytes)
    return {**parts, "invalid": invalid.set_column(column, "payload", payload)}


def identity(feed: Feed, event_id: str, records: pa.Table) -> dict[str, pa.Array]:
    """The columns by which records are deduplicated.

    Args:
        event_id: the name of the event id's column.
        records: valid records, all with an event id.

    Returns:
        partition: int, record_offset: long, event_us: long (event time, microseconds since 1970), id_hash: binary (16
        bytes, of the event id), content_hash: long (of the feed's content fields: duplicates whose hashes differ are
        conflicts).
    """
    columns = [records.column(name).cast(pa.string()) for name in feed.content]
    # No text is empty: an empty one stands for null.
    content = pc.binary_join_element_wise(*columns, "\0", null_handling="replace", null_replacement="")
    halves = [hashes(records.column(event_id), key) for key in _ID_KEYS]
    id_hash = pa.py_buffer(np.stack(halves, axis=1).astype("<u8"))
    return {
        "partition": records.column("partition"),
        "record_offset": records.column("offset"),
        "event_us": records.column("event_us"),
        "id_hash": pa.Array.from_buffers(pa.binary(16), records.num_rows, [None, id_hash]),
        "content_hash": pa.array(hashes(content, _CONTENT_KEY).view(np.int64)),
    }


def _received(records: pa.Table) -> pa.Table:
    valid_us = pc.if_else(pc.is_null(records.column("reason")), records.column("event_us"), _NO_TIME)
    by_partition = (
        records.select(["partition", "offset", "reason"])
        .append_column("event_us", valid_us)
        .group_by("partition")
        .aggregate([("offset", "count"), ("reason", "count"), ("event_us", "max")])
    )
    return pa.table(by_partition.columns, ["partition", "received", "invalid", "latest_us"])


def _invalid(feed: Feed, records: pa.Table) -> pa.Table:
    invalid = records.filter(pc.is_valid(records.column("reason")))
    payload = invalid.column("value")
    refused_by_clock = pc.equal(invalid.column("reason"), feed.clock_reason)
    return pa.table(
        {
            "partition": invalid.column("partition"),
            "record_offset": invalid.column("offset"),
            "reason": invalid.column("reason"),
            "payload": payload,
            "length": pc.binary_length(payload).cast(pa.int64()),
            "digest": _digests(payload),
            "event_us": pc.if_else(refused_by_clock, invalid.column("event_us"), _NO_TIME),
        }
    )


def _digests(values: pa.ChunkedArray) -> pa.Array:
    buffers = (value.as_buffer() for value in values)
    digests = [None if buffer is None else hashlib.sha256(buffer).digest() for buffer in buffers]
    return pa.array(digests, pa.binary())
