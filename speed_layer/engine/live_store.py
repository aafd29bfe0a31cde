"""The live query's sink: one PostgreSQL transaction per micro-batch, by the process that holds the feeds' leases."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row

from bytemeter.errors import BytemeterError
from bytemeter.kafka import Topic
from bytemeter.leases.lease import Lease, Terms, leased
from bytemeter.offset_log import Offsets
from bytemeter.plans.watermark import PartitionProgress
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import Account, Count, FeedOffsets, LiveQuery

SQL = Statements(__package__, "ledger.sql")
SESSION = SQL.raw("session_settings")


@dataclass(frozen=True)
class MicroBatch:
    """The messages that one transaction counts.

    Attributes:
        count: counts them (see ``LiveQuery.prepare``).
        start, end: by feed and partition the first offset, and the offset after the last one. Partitions that the
            ledger does not know yet have no start.
    """

    count: Count = field(repr=False)
    start: FeedOffsets
    end: FeedOffsets


@dataclass
class LiveStore:
    """The tables and the ledger of a live query.

    Key: the offsets. Delivery: exactly once. A transaction counts a micro-batch only if this process still holds the
    leases of its partitions, and the ledger's next offsets are the micro-batch's start; a replay, or a second process,
    fails and changes nothing.

    Attributes:
        topics: by feed name.
    """

    query: LiveQuery
    topics: Mapping[str, Topic]
    connection: Connection = field(repr=False)
    lease: Lease
    idle_partitions: IdlePartitions
    # Micro-batches and ``report_progress`` run in different threads, but on one connection.
    _transaction_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _loaded: bool = field(default=False, init=False, repr=False)

    def start_offsets(self) -> dict[str, Offsets]:
        """By feed and partition the offset to resume reading from: the ledger's, or the earliest of a new partition.

        Raises:
            BytemeterError: a topic was re-created, is shorter than what was counted, or lacks messages that were not
                counted yet.
        """
        with self._transaction():
            rows = self._lock_ledger()
        return {
            feed: _resume_offsets(topic, [row for row in rows if row.feed == feed])
            for feed, topic in self.topics.items()
        }

    def load(self) -> None:
        """Let the query read the state that it needs; does nothing the second time.

        Raises:
            BytemeterError: a table is missing.
            TransientError: PostgreSQL cannot be reached.
        """
        if not self._loaded:
            with self._transaction_lock, self._transaction():
                self.query.load(self.connection)
            self._loaded = True

    def commit(self, batch: MicroBatch) -> None:
        """Count a micro-batch and move the ledger in one transaction, or roll back both.

        Raises:
            BytemeterError: another process has taken over a partition, or the ledger's next offsets are not the
                micro-batch's start.
            TransientError: PostgreSQL cannot be reached, or Kafka did not accept the events to publish.
        """
        self.load()
        with self._query_transaction():
            partitions = ((feed, partition) for feed, offsets in batch.end.items() for partition in offsets)
            self.lease.extend(self.connection, partitions)
            self._require_ledger_at(batch.start)
            self._move_ledger(batch.end, batch.count(self.connection))
            self.idle_partitions.mark_active(_advanced_partitions(batch))
            self.query.on_progress(self.connection, self._progress())

    def report_progress(self) -> bool:
        """Let the query react to the progress of its feeds, in a transaction. Returns whether work is left.

        Raises:
            TransientError: see ``commit``.
        """
        with self._query_transaction():
            self._lock_ledger()
            return self.query.on_progress(self.connection, self._progress())

    def next_offsets(self) -> dict[str, Offsets]:
        """By feed and partition the next offset to count; partitions without a row in the ledger are missing."""
        with self._transaction_lock, self._transaction():
            rows = self._read_ledger()
        return {feed: {row.partition: row.next_offset for row in rows if row.feed == feed} for feed in self.topics}

    def record_topic_ends(self, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Store the topics' end offsets, for views that show how many messages wait.

        Args:
            ends: by feed and partition the offset that the next message gets.
        """
        rows = [
            {"feed": feed, "partition": partition, "end_offset": offset}
            for feed, offsets in ends.items()
            for partition, offset in offsets.items()
        ]
        with self._transaction_lock, self._transaction():
            self.connection.execute(SQL["record_topic_end"], rows)

    def _lock_ledger(self) -> Sequence[Row[Any]]:
        return self.connection.execute(SQL["lock_ledger"], {"feeds": list(self.topics)}).all()

    def _read_ledger(self) -> Sequence[Row[Any]]:
        return self.connection.execute(SQL["read_ledger"], {"feeds": list(self.topics)}).all()

    def _progress(self) -> dict[str, dict[int, PartitionProgress]]:
        rows = self._read_ledger()
        return {
            feed: {
                row.partition: PartitionProgress(
                    self.idle_partitions.is_idle(feed, row.partition), row.latest_event_time
                )
                for row in rows
                if row.feed == feed
            }
            for feed in self.topics
        }

    def _require_ledger_at(self, start: FeedOffsets) -> None:
        rows = self._lock_ledger()
        for feed, offsets in start.items():
            ledger = {row.partition: row.next_offset for row in rows if row.feed == feed}
            moved = {partition: offset for partition, offset in ledger.items() if offset != offsets.get(partition)}
            if moved:
                raise BytemeterError(
                    f"the ledger of {feed} stands at {moved}, this query read from {offsets}: another process has "
                    "counted the feed in between; let only one process count it, and restart this one if it is the one "
                    "to keep"
                )

    def _move_ledger(self, end: FeedOffsets, accounts: Iterable[Account]) -> None:
        moves = [
            {"feed": feed, "partition": partition, "next_offset": offset, "topic_id": self.topics[feed].id}
            for feed, offsets in end.items()
            for partition, offset in offsets.items()
        ]
        self.connection.execute(SQL["move_next_offset"], moves)
        if additions := [asdict(account) for account in accounts]:
            self.connection.execute(SQL["add_account"], additions)

    @contextmanager
    def _query_transaction(self) -> Iterator[None]:
        """A transaction, of whose end the query is notified."""
        with self._transaction_lock:
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
            self.lease.check(self.connection)
            yield


@contextmanager
def live_store(
    engine: Engine,
    query: LiveQuery,
    topics: Mapping[str, Topic],
    idle_partitions: IdlePartitions,
    terms: Terms | None = None,
) -> Iterator[LiveStore]:
    """Open the store of a live query, for one process at a time: it holds the leases of the topics' partitions.

    Args:
        topics: by feed name.
        terms: of the leases; by default those of this process.

    Raises:
        BytemeterError: another process holds a lease, or tables are missing.
        TransientError: PostgreSQL cannot be reached.
    """
    with ExitStack() as resources:
        with one_line_errors(engine.url):
            connection = resources.enter_context(engine.connect())
            partitions = {feed: topic.latest.keys() for feed, topic in topics.items()}
            lease = resources.enter_context(leased(engine, connection, partitions, terms or Terms()))
            with connection.begin():
                connection.exec_driver_sql(SESSION)
                query.open(connection)
        yield LiveStore(query, topics, connection, lease, idle_partitions)


def _resume_offsets(topic: Topic, rows: Sequence[Row[Any]]) -> Offsets:
    start_over = "start over with an empty BYTEMETER_DATABASE_URL and BYTEMETER_HISTORY, or restore the topic"
    if other_ids := {row.topic_id for row in rows} - {topic.id}:
        raise BytemeterError(
            f"topic {topic.name} was re-created: its id is {topic.id}, the ledger has {other_ids.pop()}; {start_over}"
        )
    next_offsets = {row.partition: row.next_offset for row in rows}
    return topic.resume_offsets(next_offsets, sink="the ledger", remedy=start_over)


def _advanced_partitions(batch: MicroBatch) -> list[tuple[str, int]]:
    """Feed and partition of each partition of which the micro-batch has messages."""
    return [
        (feed, partition)
        for feed, offsets in batch.end.items()
        for partition, offset in offsets.items()
        if offset != batch.start.get(feed, {}).get(partition)
    ]
