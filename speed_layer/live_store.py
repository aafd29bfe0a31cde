"""The live query's sink: one PostgreSQL transaction per micro-batch, on the connection that holds the feed's lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import Feed
from bytemeter.kafka import Topic
from bytemeter.migrations import staging_schema
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors
from speed_layer import merge

_LOCK_WAIT_S = 10
_POLL_S = 0.2


class StagingMismatchError(TransientError):
    """The staged rows are not those that Spark counted: a task was run twice or lost. A new attempt helps."""


@dataclass(frozen=True)
class MicroBatch:
    """What one transaction counts.

    Attributes:
        attempt: marks the staged rows of this attempt.
        rows: how many rows Spark staged.
        start, end: per partition the first offset of the micro-batch and the one after its last.
    """

    attempt: int
    rows: int
    start: Offsets
    end: Offsets


@dataclass
class LiveStore:
    """Totals, event ids, invalid records and the ledger of one feed.

    Key: the offsets. A micro-batch is counted once: the transaction requires that the ledger stands where the
    micro-batch starts, so that a replay or a second process changes nothing and fails.
    """

    feed: Feed
    topic: Topic
    connection: Connection = field(repr=False)

    def start_offsets(self) -> Offsets:
        """Where to go on: the ledger's offsets, and the beginning of partitions that it does not know.

        Raises:
            BytemeterError: the topic is not the one that was counted, or lacks records that were not counted yet.
        """
        with self._transaction():
            rows = self.connection.execute(merge.LOCK_LEDGER, {"feed": self.feed.name}).all()
        counted = {row.partition: row.next_offset for row in rows}
        name = self.topic.name
        start_over = "start over with an empty BYTEMETER_DATABASE_URL and BYTEMETER_HISTORY, or restore the topic"
        if other := {row.topic_id for row in rows} - {self.topic.id}:
            raise BytemeterError(
                f"topic {name} was re-created: its id is {self.topic.id}, counted was {other.pop()}; {start_over}"
            )
        return self.topic.start_after(counted, what="counted", remedy=start_over)

    def commit(self, batch: MicroBatch) -> None:
        """Count a staged micro-batch: all of it, or nothing.

        Raises:
            StagingMismatchError: the staged rows are not those that Spark counted.
            BytemeterError: the ledger does not stand where the micro-batch starts.
            TransientError: PostgreSQL could not be reached.
        """
        of_batch = {"feed": self.feed.name, "attempt": batch.attempt}
        with self._transaction():
            self._require_ledger_at(batch.start)
            identified = self._verify_staged(batch)
            repeats = self._find_repeats(of_batch) if identified else 0
            types = {"types": [dimension.type for dimension in self.feed.dimensions]} if repeats else {}
            totals = merge.add_totals(self.feed.live_table, repeats=bool(repeats))
            self.connection.execute(totals, {"attempt": batch.attempt, **types})
            self.connection.execute(merge.LIST_INVALID, of_batch)
            self.connection.execute(merge.MARK_HOURS, of_batch)
            self.connection.execute(
                merge.SETTLE_LEDGER,
                {
                    **of_batch,
                    "topic_id": self.topic.id,
                    "partitions": list(batch.end),
                    "offsets": list(batch.end.values()),
                },
            )
            self.connection.execute(merge.CLEAR_STAGED)

    def _require_ledger_at(self, start: Offsets) -> None:
        rows = self.connection.execute(merge.LOCK_LEDGER, {"feed": self.feed.name}).all()
        moved = {row.partition: row.next_offset for row in rows if row.next_offset != start.get(row.partition)}
        if moved:
            raise BytemeterError(
                f"the ledger of {self.feed.name} stands at {moved}, this query read from {start}: another process "
                "counted the feed meanwhile; let one process count it, and start this one again if it shall be the one"
            )

    def _verify_staged(self, batch: MicroBatch) -> int:
        staged, identified = self.connection.execute(merge.COUNT_STAGED, {"attempt": batch.attempt}).one()
        if staged != batch.rows:
            raise StagingMismatchError(f"{staged} rows are staged, Spark counted {batch.rows}")
        return int(identified)

    def _find_repeats(self, of_batch: dict[str, object]) -> int:
        self.connection.execute(merge.NO_NESTED_LOOPS)
        repeats = self.connection.execute(merge.REMEMBER_IDS, of_batch).rowcount
        self.connection.execute(merge.ANY_PLAN)
        if repeats:
            self.connection.execute(merge.LIST_DUPLICATES, of_batch)
        return repeats

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            yield


@contextmanager
def live_store(engine: Engine, feed: Feed, topic: Topic) -> Iterator[LiveStore]:
    """The store of a feed, for one process at a time: its connection holds the feed's advisory lock.

    Raises:
        BytemeterError: another process holds the lock, or tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    with one_line_errors(engine.url):
        connection = engine.connect()
        try:
            _lock(connection, feed)
            with connection.begin():
                connection.execute(
                    text("select set_config('search_path', :path, false)"),
                    {"path": f"{staging_schema(feed)}, public"},
                )
                # A server process whose client was killed ends soon, and with it the lock.
                connection.execute(text("set client_connection_check_interval = '500ms'"))
        except BaseException:
            connection.close()
            raise
    try:
        yield LiveStore(feed, topic, connection)
    finally:
        connection.close()


def _lock(connection: Connection, feed: Feed) -> None:
    statement = text("select pg_try_advisory_lock(hashtextextended(:name, 0))")
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        with connection.begin():
            if connection.scalar(statement, {"name": f"bytemeter/live/{feed.name}"}):
                return
        if time.monotonic() > deadline:
            raise BytemeterError(
                f"another process counts the feed {feed.name} (its lock in PostgreSQL is held); "
                "one is enough: stop the other first"
            )
        time.sleep(_POLL_S)
