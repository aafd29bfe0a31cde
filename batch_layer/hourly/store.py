"""The hourly job's sink: whole hours of the hourly totals and ``user_quota_limit``, replaced in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from batch_layer.postgres.staging import Staged, require_all
from batch_layer.postgres.totals import DIFFERENCES_SHOWN, Difference, compare, write
from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed, Quotas, TotalsTable
from bytemeter.leases.lease import Lease, Terms, leased_job
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "statements.sql")
STAGING = "staged_hourly"

# Of a lease that a store takes itself; see BYTEMETER_LEASE_S.
_SILENT_S = 30.0


@dataclass(frozen=True)
class Snapshot:
    """What the live query had counted at one instant.

    Attributes:
        at: the instant.
        offsets: per partition the next offset of the ledger.
        versions: the version of each hour that has records.
        dirty: the hours with records that no recompute has seen.
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
    lease: Lease = field(repr=False)

    @property
    def table(self) -> TotalsTable:
        """The table of the feed's hourly totals.

        Raises:
            BytemeterError: the feed has none.
        """
        if self.feed.totals is None or self.feed.totals.hourly is None:
            raise BytemeterError(f"the feed {self.feed.name} has no hourly totals; choose e.g. devices")
        return self.feed.totals.hourly

    def snapshot(self) -> Snapshot:
        """Read what was counted, in one repeatable-read transaction."""
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            self.connection.execute(text("set transaction isolation level repeatable read, read only"))
            of_feed = {"feed": self.feed.name}
            offsets = self.connection.execute(SQL["next_offsets"], of_feed).all()
            hours = self.connection.execute(SQL["hours"], of_feed).all()
            return Snapshot(
                at=self.connection.scalars(text("select now()")).one(),
                offsets={row.partition: row.next_offset for row in offsets},
                versions={row.hour: row.version for row in hours},
                dirty=[row.hour for row in hours if row.dirty],
            )

    def replace(self, hours: list[dt.datetime], staged: Staged, snapshot: Snapshot, *, dry_run: bool) -> Recomputed:
        """Replace the hours by the staged totals, and note that they were recomputed as of the snapshot.

        Raises:
            BytemeterError: another process has taken over the job.
            TransientError: the staged rows are not the rows that Spark counted; run the job again.
        """
        with one_line_errors(self.connection.engine.url), self.connection.begin() as transaction:
            self.lease.check(self.connection)
            require_all(self.connection, staged)
            compared = compare(self.connection, staged, self.feed, self.table, hours)
            breaches = self._find_breaches()
            if dry_run:
                transaction.rollback()
            else:
                self._write(hours, snapshot)
        return Recomputed(len(hours), compared.changed, breaches, compared.differences)

    def _find_breaches(self) -> int:
        """Find the quota breaches of a feed that has quotas; how many there are."""
        if self._quotas is None:
            return 0
        self.connection.execute(SQL["find_breaches"], {"email_type": self._quotas.email_type})
        count: int = self.connection.scalars(text("select count(*) from breaches")).one()
        return count

    def _write(self, hours: list[dt.datetime], snapshot: Snapshot) -> None:
        write(self.connection, self.feed, self.table)
        if self._quotas:
            self.connection.execute(SQL["remove_breaches"], {"hours": hours})
            self.connection.execute(SQL["write_breaches"])
        versions = [snapshot.versions.get(hour, 0) for hour in hours]
        recomputed = {"feed": self.feed.name, "hours": hours, "versions": versions, "at": snapshot.at}
        self.connection.execute(SQL["mark_recomputed"], recomputed)
        self.connection.execute(SQL["clear_staged"])

    @property
    def _quotas(self) -> Quotas | None:
        return self.feed.totals.quotas if self.feed.totals else None


@contextmanager
def hourly_store(engine: Engine, feed: Feed, lease: Lease | None = None) -> Iterator[HourlyStore]:
    """The store of a feed, for one hourly job at a time.

    Args:
        lease: of the run; without it, the store takes the job's lease itself.

    Raises:
        BytemeterError: another hourly job of the feed runs, or tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    with ExitStack() as resources:
        with one_line_errors(engine.url):
            connection = resources.enter_context(engine.connect())
            held = lease or resources.enter_context(leased_job(engine, connection, "hourly", Terms.of_job(_SILENT_S)))
            with connection.begin():
                held.transact_by(connection)
                connection.execute(SQL["clear_staged"])
        yield HourlyStore(feed, connection, held)
