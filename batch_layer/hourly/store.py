"""The hourly job's sink: whole hours of the hourly totals and ``user_quota_limit``, replaced in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from batch_layer.hourly import statements
from batch_layer.postgres.staging import Staged, require_all
from batch_layer.postgres.totals import DIFFERENCES_SHOWN, Difference, compare, write
from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors

STAGING = "staged_hourly"


@dataclass(frozen=True)
class Snapshot:
    """What was counted, at one instant.

    Attributes:
        at: the instant.
        offsets: per partition the offset up to which the live query had counted.
        versions: of each hour that has records.
        dirty: hours whose records a recompute has not seen, or not all.
    """

    at: dt.datetime
    offsets: Offsets
    versions: dict[dt.datetime, int]
    dirty: list[dt.datetime]


@dataclass(frozen=True)
class Recomputed:
    """What a recompute did, or with ``dry_run`` would have done.

    Attributes:
        hours: recomputed hours.
        changed: totals that are new, gone or different.
        breaches: hours in which a user exceeded the quota.
        differences: the first of the changed totals.
    """

    hours: int = 0
    changed: int = 0
    breaches: int = 0
    differences: tuple[Difference, ...] = ()

    def __add__(self, other: Recomputed) -> Recomputed:
        return Recomputed(
            self.hours + other.hours,
            self.changed + other.changed,
            self.breaches + other.breaches,
            (self.differences + other.differences)[:DIFFERENCES_SHOWN],
        )


@dataclass
class HourlyStore:
    """The recomputed hours of a feed.

    Key: (type, id, hour), and (email, hour) of breaches. Replaced by hour: idempotent.
    """

    feed: Feed
    connection: Connection = field(repr=False)

    def snapshot(self) -> Snapshot:
        """What was counted, read at one instant."""
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            self.connection.execute(text("set transaction isolation level repeatable read, read only"))
            of_feed = {"feed": self.feed.name}
            offsets = self.connection.execute(statements.COUNTED, of_feed).all()
            hours = self.connection.execute(statements.HOURS, of_feed).all()
            return Snapshot(
                at=self.connection.scalars(text("select now()")).one(),
                offsets={row.partition: row.next_offset for row in offsets},
                versions={row.hour: row.version for row in hours},
                dirty=[row.hour for row in hours if row.dirty],
            )

    def replace(self, hours: list[dt.datetime], staged: Staged, snapshot: Snapshot, *, dry_run: bool) -> Recomputed:
        """Replace the hours by the staged totals, and clear the dirty marks that the snapshot knew.

        Raises:
            TransientError: the staged rows are not those that Spark counted; run the job again.
        """
        with one_line_errors(self.connection.engine.url), self.connection.begin() as transaction:
            require_all(self.connection, staged)
            compared = compare(self.connection, staged, self.feed.usage.hourly_table, hours)
            self.connection.execute(statements.BREACHES)
            breaches = self.connection.scalars(statements.COUNT_BREACHES).one()
            if dry_run:
                transaction.rollback()
            else:
                self._write(hours, snapshot)
        return Recomputed(len(hours), compared.changed, breaches, compared.differences)

    def _write(self, hours: list[dt.datetime], snapshot: Snapshot) -> None:
        write(self.connection, self.feed.usage.hourly_table)
        self.connection.execute(statements.REMOVE_BREACHES, {"hours": hours})
        self.connection.execute(statements.WRITE_BREACHES)
        versions = [snapshot.versions.get(hour, 0) for hour in hours]
        self.connection.execute(
            statements.MARK_RECOMPUTED,
            {"feed": self.feed.name, "hours": hours, "versions": versions, "at": snapshot.at},
        )
        self.connection.execute(statements.CLEAR_STAGED)


@contextmanager
def hourly_store(engine: Engine, feed: Feed) -> Iterator[HourlyStore]:
    """The store of a feed, for one hourly job at a time: its connection holds an advisory lock.

    Raises:
        BytemeterError: another hourly job of the feed runs, or tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    with one_line_errors(engine.url):
        connection = engine.connect()
    try:
        with one_line_errors(engine.url), connection.begin():
            if not connection.scalars(statements.LOCK, {"name": "bytemeter/hourly"}).one():
                raise BytemeterError("another hourly job runs; wait for it, or stop it")
            connection.execute(statements.CLEAR_STAGED)
        yield HourlyStore(feed, connection)
    finally:
        connection.close()
