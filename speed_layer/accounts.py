"""The driver's part of a feed's account: counts per partition for the ledger, and the invalid messages."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from speed_layer.dedup.ids import Judged
from speed_layer.engine.live_query import Account
from speed_layer.postgres.copying import copy


def accounts(feed: str, received: pa.Table) -> list[Account]:
    """Per partition the messages received, and how many of them are invalid.

    Args:
        received: the part of this name, see ``speed_layer.executor.accounts.account_parts``.
    """
    by_partition = received.group_by("partition").aggregate(
        [("received", "sum"), ("invalid", "sum"), ("latest_us", "max")]
    )
    columns = (by_partition.column(name).to_pylist() for name in by_partition.column_names)
    return [
        Account(
            feed,
            partition,
            received=messages,
            invalid=invalid,
            latest_s=None if latest_us is None else latest_us // 1_000_000,
        )
        for partition, messages, invalid, latest_us in zip(*columns, strict=True)
    ]


def judged_accounts(feed: str, records: pa.Table, judged: Judged) -> list[Account]:
    """Per partition the number of duplicates, and of records behind the horizon.

    Args:
        records: the rows that were judged, with partition: int.
    """
    partitions = records.column("partition")
    duplicates, behind = (
        pc.value_counts(partitions.filter(pa.array(chosen))).to_pylist() for chosen in (judged.duplicate, judged.behind)
    )
    return [
        *(Account(feed, count["values"], duplicate=count["counts"]) for count in duplicates),
        *(Account(feed, count["values"], behind_horizon=count["counts"]) for count in behind),
    ]


def list_invalid(connection: Connection, feed: str, invalid: pa.Table) -> None:
    """Append invalid messages to ``invalid_events``.

    Key: (feed, partition, record_offset). Delivery: that of the transaction.

    Args:
        invalid: the part of this name, see ``speed_layer.executor.accounts.account_parts``.
    """
    if not invalid.num_rows:
        return
    # As bytea is written in a CSV: hexadecimal.
    payload = [None if value is None else f"\\x{value.hex()}" for value in invalid.column("payload").to_pylist()]
    rows = {
        "feed": pa.array([feed] * invalid.num_rows),
        "partition": invalid.column("partition"),
        "record_offset": invalid.column("record_offset"),
        "reason": invalid.column("reason"),
        "payload": pa.array(payload, pa.string()),
        "event_time": pc.divide(invalid.column("event_us"), 1_000_000).cast(pa.timestamp("s", "UTC")),
    }
    copy(connection, "invalid_events", pa.table(rows))
