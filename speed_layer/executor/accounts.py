"""What executors find out about every message of a feed: its outcome, and the deduplication key of its record."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds import Feed
from bytemeter.hashing import hashes
from bytemeter.parsing import REFUSED_BY_CLOCK

# Two hashes with different keys are the 16 bytes that stand for an id. They are stored: the keys never change.
_ID_KEYS = ("bytemeter's id 0", "bytemeter's id 1")
_CONTENT_KEY = "bytemeter record"
_NO_TIME = pa.scalar(None, pa.int64())


def account_parts(records: pa.Table) -> dict[str, pa.Table]:
    """Two parts of parsed messages (see ``bytemeter.parsing.parse``) that every feed has.

    Returns:
        received: a row for each partition, of partition: int, received: long, invalid: long, latest_us: long, the
        latest event time of a valid record (microseconds since 1970; null without one); invalid: a row for each message
        that is, of partition: int, record_offset: long, reason: string, payload: binary as received, event_us: long,
        only of well-formed records that the clock refused.
    """
    return {"received": _received(records), "invalid": _invalid(records)}


def identity(feed: Feed, event_id: str, records: pa.Table) -> dict[str, pa.Array]:
    """By what a repeat of a record is told: columns partition: int, record_offset: long, event_us: long (event time in
    microseconds), id_hash: binary (16 bytes), content_hash: long.

    Args:
        records: valid ones, all with an id.
    """
    content = [records.column(name).cast(pa.string()) for name in feed.content]
    halves = [hashes(records.column(event_id), key) for key in _ID_KEYS]
    id_hash = pa.py_buffer(np.stack(halves, axis=1).astype("<u8"))
    return {
        "partition": records.column("partition"),
        "record_offset": records.column("offset"),
        "event_us": records.column("event_us"),
        "id_hash": pa.Array.from_buffers(pa.binary(16), records.num_rows, [None, id_hash]),
        "content_hash": pa.array(hashes(pc.binary_join_element_wise(*content, "\0"), _CONTENT_KEY).view(np.int64)),
    }


def _received(records: pa.Table) -> pa.Table:
    valid_us = pc.if_else(pc.is_null(records.column("reason")), records.column("event_us"), _NO_TIME)
    counted = (
        records.select(["partition", "offset", "reason"])
        .append_column("event_us", valid_us)
        .group_by("partition")
        .aggregate([("offset", "count"), ("reason", "count"), ("event_us", "max")])
    )
    return pa.table(counted.columns, ["partition", "received", "invalid", "latest_us"])


def _invalid(records: pa.Table) -> pa.Table:
    bad = records.filter(pc.is_valid(records.column("reason")))
    refused = pc.equal(bad.column("reason"), REFUSED_BY_CLOCK)
    return pa.table(
        {
            "partition": bad.column("partition"),
            "record_offset": bad.column("offset"),
            "reason": bad.column("reason"),
            "payload": bad.column("value"),
            "event_us": pc.if_else(refused, bad.column("event_us"), _NO_TIME),
        }
    )
