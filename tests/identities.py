"""Records with event ids as the deduplicator gets them, and a process that judges them against a real ledger."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from speed_layer.dedup.horizon import Horizon
from speed_layer.dedup.identified import HOUR_US, IdentifiedRecords
from speed_layer.dedup.ids import Deduplicator, Judged

FIRST_HOUR = 1_763_700_000_000_000 // HOUR_US
FEED = "devices"
HORIZON_H = 10

_LEDGER = """
insert into ledger (feed, partition, topic_id, next_offset, latest_event_time)
values (:feed, :partition, 'topic', 0, to_timestamp(3600 * :hour))
on conflict (feed, partition) do update set
    latest_event_time = greatest(ledger.latest_event_time, excluded.latest_event_time)
"""


class Record(NamedTuple):
    """A record: a number as its event id, its hour since ``FIRST_HOUR``, its content and partition.

    Event ids whose last 32 bits are equal have the same key in the packs.
    """

    id: int
    hour: int
    content: int = 0
    partition: int = 0


def identified(records: Sequence[Record], first_offset: int = 0) -> IdentifiedRecords:
    """Records as they are judged; their offsets count from ``first_offset``, whatever their partition."""
    columns = {
        "id_hash": pa.array([struct.pack("<QQ", r.id % 2**32, r.id) for r in records], pa.binary()),
        "event_us": pa.array([(FIRST_HOUR + r.hour) * HOUR_US + 5 for r in records], pa.int64()),
        "partition": pa.array([r.partition for r in records], pa.int32()),
        "record_offset": pa.array(range(first_offset, first_offset + len(records)), pa.int64()),
        "content_hash": pa.array([r.content for r in records], pa.int64()),
    }
    return IdentifiedRecords.of(pa.table(columns))


def move_ledger(connection: Connection, records: Sequence[Record], feed: str = FEED) -> None:
    """Note the latest event hours of partitions, as the store does with each micro-batch."""
    for record in records:
        columns = {"feed": feed, "partition": record.partition, "hour": FIRST_HOUR + record.hour}
        connection.execute(text(_LEDGER), columns)


def horizon(hours: float = HORIZON_H, feed: str = FEED) -> Horizon:
    """A horizon so many hours behind the watermark."""
    return Horizon(feed, dt.timedelta(hours=hours).total_seconds(), 86_400)


class Process:
    """A process that counts a feed, from its start on."""

    def __init__(self, engine: Engine, hours: float = HORIZON_H, feed: str = FEED) -> None:
        self.connection = engine.connect()
        self.deduplicator = Deduplicator(horizon(hours, feed))
        self.feed = feed
        with self.connection.begin():
            self.deduplicator.load(self.connection)

    def count(self, *records: Record, first_offset: int = 0) -> Judged:
        """Count a micro-batch in a transaction."""
        with self.connection.begin():
            return self.count_within(records, first_offset)

    def count_within(self, records: Sequence[Record], first_offset: int = 0) -> Judged:
        """Count a micro-batch in the transaction that was begun."""
        judged = self.deduplicator.find_duplicates(self.connection, identified(records, first_offset))
        self.deduplicator.finish(self.connection)
        move_ledger(self.connection, records, self.feed)
        return judged

    def end(self) -> None:
        """End as if killed: nothing of an open transaction stays. Waits for what is being written or dropped."""
        self.deduplicator._seen._store._thread.shutdown()
        self.connection.close()


def scalar(engine: Engine, statement: str, **values: Any) -> Any:
    """The only value of a query."""
    with engine.begin() as connection:
        return connection.scalar(text(statement), values)
