"""What was received of a feed: the account of each partition, and messages that are invalid."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.hashing import hashes
from bytemeter.parsing import REFUSED_BY_CLOCK
from speed_layer.copying import copy
from speed_layer.live_query import Account

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


def accounts(feed: str, rows: pa.Table) -> list[Account]:
    """For each partition the messages received, and the invalid ones among them, of the part ``received``."""
    counted = rows.group_by("partition").aggregate([("received", "sum"), ("invalid", "sum"), ("latest_us", "max")])
    columns = (counted.column(name).to_pylist() for name in counted.column_names)
    return [
        Account(
            feed,
            partition,
            received=received,
            invalid=invalid,
            latest_s=None if latest_us is None else latest_us // 1_000_000,
        )
        for partition, received, invalid, latest_us in zip(*columns, strict=True)
    ]


def repeated(feed: str, repeats: pa.Table) -> list[Account]:
    """For each partition how many of its messages were repeats."""
    counted = pc.value_counts(repeats.column("partition")).to_pylist()
    return [Account(feed, found["values"], duplicate=found["counts"]) for found in counted]


def list_invalid(connection: Connection, feed: str, rows: pa.Table) -> None:
    """Keep the messages of the part ``invalid`` as received."""
    if not rows.num_rows:
        return
    payload = pa.array(
        [None if value is None else f"\\x{value.hex()}" for value in rows.column("payload").to_pylist()], pa.string()
    )
    listed = {
        "feed": pa.array([feed] * rows.num_rows),
        "partition": rows.column("partition"),
        "record_offset": rows.column("record_offset"),
        "reason": rows.column("reason"),
        "payload": payload,
        "event_time": pc.divide(rows.column("event_us"), 1_000_000).cast(pa.timestamp("s", "UTC")),
    }
    copy(connection, "invalid_events", pa.table(listed))


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
