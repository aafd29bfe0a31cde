"""The scheduler's state in PostgreSQL: its lease, the runs so far, and when each job runs next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine

from batch_layer.schedule.declared import Scheduled
from batch_layer.schedule.due import Next, Past, PastRun, next_run
from bytemeter.leases.lease import Lease, Terms, leased_job
from bytemeter.leases.owner import is_dead
from bytemeter.leases.words import job_lease
from bytemeter.postgres import one_line_errors
from bytemeter.settings import Settings
from bytemeter.sql import Statements

SQL = Statements(__package__, "store.sql")
LEASE = "schedule"


@dataclass
class ScheduleStore:
    """What the scheduler knows. One scheduler at a time holds its lease; each transaction checks that it still does.

    Attributes:
        jobs: in the order in which they run when several are due.
    """

    settings: Settings
    jobs: Sequence[Scheduled]
    connection: Connection = field(repr=False)
    lease: Lease = field(repr=False)

    def next_runs(self, now: dt.datetime) -> list[Next]:
        """The next run of each job, those that are due first; notes them for ``bytemeter schedule list``.

        Raises:
            BytemeterError: another scheduler has taken over.
            TransientError: PostgreSQL cannot be reached.
        """
        with self._transaction():
            found = [self._next(job, now) for job in self.jobs]
            for run in found:
                row = {"job": run.job.name, "cron": run.job.cron.text, "next_at": run.at, "now": now}
                self.connection.execute(SQL["note_next"], row)
            self.connection.execute(SQL["forget_others"], {"jobs": [job.name for job in self.jobs]})
        return sorted(found, key=lambda run: run.at > now)

    def is_busy(self, now: dt.datetime) -> bool:
        """Whether a job runs, whoever started it. Rows of runs that went without a word are set right.

        Raises:
            TransientError: PostgreSQL cannot be reached.
        """
        with self._transaction():
            dead = [owner for owner in self.connection.scalars(SQL["owners_of_runs"]) if is_dead(owner)]
            for job in self.jobs:
                of_job = {"job": job.name, "lease": job_lease(job.job.name).name, "dead": dead, "now": now}
                self.connection.execute(SQL["end_lost_runs"], of_job)
            return any(not is_dead(row.owner) for row in self.connection.execute(SQL["running_jobs"]))

    def latest_run(self, job: Scheduled) -> int:
        """The number of the latest run of a job; 0 before the first."""
        with self._transaction():
            return self.connection.scalar(SQL["latest_run"], {"job": job.name}) or 0

    def _next(self, job: Scheduled, now: dt.datetime) -> Next:
        rows = self.connection.execute(SQL["past_runs"], {"job": job.name, "since": now - job.catch_up})
        past = Past([PastRun(*row) for row in rows], self.connection.scalar(SQL["first_period"], {"job": job.name}))
        after_s = job.after_s(self.settings)
        when = {"now": now, "before": now - dt.timedelta(seconds=after_s)}
        needed = job.needed is None or bool(self.connection.scalar(SQL[job.needed], when))
        return next_run(job, past, now, after_s=after_s, needed=needed)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            self.lease.check(self.connection)
            yield


@contextmanager
def schedule_store(
    engine: Engine, settings: Settings, jobs: Iterable[Scheduled], terms: Terms | None = None
) -> Iterator[ScheduleStore]:
    """Open the store, for one scheduler at a time.

    Raises:
        HeldError: another scheduler runs.
        TransientError: PostgreSQL cannot be reached.
    """
    # Its own lease, which it could not give back while PostgreSQL was away, keeps it from nothing.
    terms = terms or replace(Terms.of_job(settings.lease_s), retakes=True)
    with one_line_errors(engine.url):
        connection = engine.connect()
    with connection, leased_job(engine, connection, LEASE, terms) as lease:
        yield ScheduleStore(settings, list(jobs), connection, lease)
