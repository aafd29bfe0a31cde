"""The driver's part of each feed's account: counts per partition for the ledger, and the list of invalid messages."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from speed_layer.engine.live_query import Account
from speed_layer.postgres.copying import copy


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
