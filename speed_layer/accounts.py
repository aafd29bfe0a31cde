"""The driver's part of a feed's account: counts per partition for the ledger, and the invalid messages."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from speed_layer.dedup.ids import Judged
from speed_layer.engine.live_query import Account
from speed_layer.postgres.copying import copy_fixed, nullable, nullable_instants

# What COPY is given at once: invalid messages may be large, and they may be many.
_COPIED_BYTES = 16 * 2**20


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
    for batch in invalid.to_batches():
        rows = max(1, batch.num_rows * _COPIED_BYTES // max(batch.nbytes, 1))
        for first in range(0, batch.num_rows, rows):
            _copy_invalid(connection, feed, pa.Table.from_batches([batch.slice(first, rows)]))


def _copy_invalid(connection: Connection, feed: str, invalid: pa.Table) -> None:
    columns = {
        "partition": invalid.column("partition").to_numpy().astype(">i4"),
        "record_offset": invalid.column("record_offset").to_numpy().astype(">i8"),
    }
    texts = {
        "feed": pa.chunked_array([[feed] * invalid.num_rows]),
        **{name: invalid.column(name) for name in ("reason", "payload", "digest")},
        "length": nullable(invalid.column("length")),
        "event_time": nullable_instants(invalid.column("event_us")),
    }
    copy_fixed(connection, "invalid_events", columns, texts)
