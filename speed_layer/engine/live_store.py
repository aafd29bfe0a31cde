"""The live query's sink: one PostgreSQL transaction per micro-batch, on the connection that holds the query's lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from bytemeter.errors import BytemeterError
from bytemeter.kafka import Topic
from bytemeter.offset_log import Offsets
from bytemeter.plans.watermark import PartitionProgress
from bytemeter.postgres import one_line_errors
from speed_layer.engine import ledger
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import Account, Count, FeedOffsets, LiveQuery

_LOCK_WAIT_S = 10
_POLL_S = 0.2

# What transactions that count rely on.
SESSION = """
-- A server process whose client was killed ends soon, and with it the lock.
set client_connection_check_interval = '500ms';
-- A micro-batch is sorted, joined and kept in memory.
set work_mem = '128MB';
set temp_buffers = '256MB';
-- Tables are reached by their indexes, whatever is known of them at the moment.
set enable_seqscan = off;
"""


@dataclass(frozen=True)
class MicroBatch:
    """What one transaction counts.

    Attributes:
        count: counts it (see ``LiveQuery.prepare``).
        start, end: per feed and partition the first offset of the micro-batch and the one after its last.
    """

    count: Count = field(repr=False)
    start: FeedOffsets
    end: FeedOffsets


@dataclass
class LiveStore:
    """What a live query has counted, and the ledger of its feeds.

    Key: the offsets. A micro-batch is counted once: the transaction requires that the ledger stands where the
    micro-batch starts, so that a replay or a second process changes nothing and fails.

    Attributes:
        topics: of each feed, by its name.
        idleness: which partitions have been read to their end for a while.
    """

    query: LiveQuery
    topics: Mapping[str, Topic]
    connection: Connection = field(repr=False)
    idleness: IdlePartitions
    # The micro-batches and what settles between them run in threads of their own, on one connection.
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _loaded: bool = field(default=False, init=False, repr=False)

    def start_offsets(self) -> dict[str, Offsets]:
        """Where to go on, per feed: the ledger's offsets, and the beginning of partitions that it does not know.

        Raises:
            BytemeterError: a topic is not the one that was counted, or lacks records that were not counted yet.
        """
        with self._transaction():
            rows = self.connection.execute(ledger.LOCK, {"feeds": list(self.topics)}).all()
        return {feed: _start(topic, [row for row in rows if row.feed == feed]) for feed, topic in self.topics.items()}

    def load(self) -> None:
        """Read what counting has to know of what was counted before, unless that was done.

        Raises:
            BytemeterError: a table is missing.
            TransientError: PostgreSQL could not be reached.
        """
        if not self._loaded:
            with self._one_at_a_time, self._transaction():
                self.query.load(self.connection)
            self._loaded = True

    def commit(self, batch: MicroBatch) -> None:
        """Count a micro-batch: all of it, or nothing.

        Raises:
            BytemeterError: the ledger does not stand where the micro-batch starts.
            TransientError: PostgreSQL could not be reached, or Kafka did not take what is to be published.
        """
        self.load()
        with self._counting():
            self._require_ledger_at(batch.start)
            self._move_ledger(batch.end, batch.count(self.connection))
            self.idleness.moved((feed, p) for feed in batch.end for p in _advanced(batch, feed))
            self.query.on_progress(self.connection, self._progress())

    def report_progress(self) -> bool:
        """Do some of what follows from how far the feeds have come by now, without new records; whether more is left.

        Raises:
            TransientError: see ``commit``.
        """
        with self._counting():
            self.connection.execute(ledger.LOCK, {"feeds": list(self.topics)})
            return self.query.on_progress(self.connection, self._progress())

    def counted(self) -> dict[str, Offsets]:
        """Per feed and partition the offset up to which the ledger has counted."""
        with self._one_at_a_time, self._transaction():
            rows = self.connection.execute(ledger.READ, {"feeds": list(self.topics)}).all()
        return {feed: {row.partition: row.next_offset for row in rows if row.feed == feed} for feed in self.topics}

    def observe(self, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Note up to where the topics reach, for those who ask how many records wait.

        Args:
            ends: per feed and partition the offset that the next record gets.
        """
        rows = [
            {"feed": feed, "partition": partition, "end_offset": offset}
            for feed, offsets in ends.items()
            for partition, offset in offsets.items()
        ]
        with self._one_at_a_time, self._transaction():
            self.connection.execute(ledger.OBSERVE, rows)

    def _progress(self) -> dict[str, dict[int, PartitionProgress]]:
        rows = self.connection.execute(ledger.READ, {"feeds": list(self.topics)}).all()
        return {
            feed: {
                row.partition: PartitionProgress(self.idleness.idle(feed, row.partition), row.latest_event_time)
                for row in rows
                if row.feed == feed
            }
            for feed in self.topics
        }

    def _require_ledger_at(self, start: FeedOffsets) -> None:
        rows = self.connection.execute(ledger.LOCK, {"feeds": list(self.topics)}).all()
        for feed, offsets in start.items():
            stands = {row.partition: row.next_offset for row in rows if row.feed == feed}
            moved = {p: offset for p, offset in stands.items() if offset != offsets.get(p)}
            if moved:
                raise BytemeterError(
                    f"the ledger of {feed} stands at {moved}, this query read from {offsets}: another process "
                    "counted the feed meanwhile; let one process count it, and start this one again if it shall be "
                    "the one"
                )

    def _move_ledger(self, end: FeedOffsets, accounts: Iterable[Account]) -> None:
        ends = [
            {"feed": feed, "partition": p, "next_offset": offset, "topic_id": self.topics[feed].id}
            for feed, offsets in end.items()
            for p, offset in offsets.items()
        ]
        self.connection.execute(ledger.MOVE, ends)
        if found := [asdict(account) for account in accounts]:
            self.connection.execute(ledger.ADD, found)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """A transaction of the query's, and what follows from its end."""
        with self._one_at_a_time:
            try:
                with self._transaction():
                    yield
            except BaseException:
                self.query.rolled_back()
                raise
            self.query.committed()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            yield


@contextmanager
def live_store(
    engine: Engine, query: LiveQuery, topics: Mapping[str, Topic], idleness: IdlePartitions
) -> Iterator[LiveStore]:
    """The store of a live query, for one process at a time: its connection holds the query's advisory lock.

    Raises:
        BytemeterError: another process holds the lock, or tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    with one_line_errors(engine.url):
        connection = engine.connect()
        try:
            _lock(connection, query)
            with connection.begin():
                connection.exec_driver_sql(SESSION)
                query.open(connection)
        except BaseException:
            connection.close()
            raise
    try:
        yield LiveStore(query, topics, connection, idleness)
    finally:
        connection.close()


def _start(topic: Topic, rows: Sequence[Row[Any]]) -> Offsets:
    start_over = "start over with an empty BYTEMETER_DATABASE_URL and BYTEMETER_HISTORY, or restore the topic"
    if other := {row.topic_id for row in rows} - {topic.id}:
        raise BytemeterError(
            f"topic {topic.name} was re-created: its id is {topic.id}, counted was {other.pop()}; {start_over}"
        )
    counted = {row.partition: row.next_offset for row in rows}
    return topic.start_after(counted, what="counted", remedy=start_over)


def _advanced(batch: MicroBatch, feed: str) -> list[int]:
    start = batch.start.get(feed, {})
    return [partition for partition, offset in batch.end[feed].items() if offset != start.get(partition)]


def _lock(connection: Connection, query: LiveQuery) -> None:
    statement = text("select pg_try_advisory_lock(hashtextextended(:name, 0))")
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        with connection.begin():
            if connection.scalar(statement, {"name": f"bytemeter/live/{query.name}"}):
                return
        if time.monotonic() > deadline:
            names = [feed.name for feed in query.feeds]
            feeds = f"feed {names[0]}" if len(names) == 1 else f"feeds {' and '.join(names)}"
            raise BytemeterError(
                f"another process counts the {feeds} (its lock in PostgreSQL is held); "
                "one is enough: stop the other first"
            )
        time.sleep(_POLL_S)
