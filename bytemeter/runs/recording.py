"""A run of a job: it holds the job's lease, and leaves a row in ``job_runs``, whoever started it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from bytemeter.ending import Interrupted, uninterrupted
from bytemeter.errors import BytemeterError, TransientError, without_passwords
from bytemeter.leases.lease import Lease, Terms, leased_job
from bytemeter.logs import logger
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from bytemeter.sql import Statements

SQL = Statements(__package__, "runs.sql")
Clock = Callable[[], dt.datetime]
_MOST_TOLD = 2_000


@dataclass(frozen=True)
class Task:
    """What a run does.

    Attributes:
        job: such as ``dirty-hours``.
        lease: of those jobs that must not run at the same time, such as ``hourly``.
        shared_by: the jobs that share the lease.
        since, until: what is recomputed, [since, until); None where the run finds it out itself.
        dry_run: it is not recorded.
    """

    job: str
    lease: str
    shared_by: tuple[str, ...]
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    dry_run: bool = False


@dataclass
class Run:
    """A run that holds its job's lease.

    Attributes:
        lease: transactions that write check it.
        told: the lines of the result, which are recorded.
    """

    lease: Lease
    told: list[str] = field(default_factory=list)


@contextmanager
def recorded(
    settings: Settings, task: Task, *, runner: str, clock: Clock, explain: Callable[[Exception], str] = str
) -> Iterator[Run]:
    """Run a task under its lease, and record when it began and ended, and how.

    Delivery: the row is written when the run begins, and again when it ends. A run that ends without a word leaves it
    as ``running``; the next run under the same lease sets it right.

    Args:
        explain: an error as one line.

    Raises:
        HeldError: the lease is held by a run that is heard; nothing is recorded.
        TransientError: PostgreSQL cannot be reached.
    """
    engine, terms = database(settings.require_database_url()), Terms.of_job(settings.lease_s)
    with one_line_errors(engine.url):
        connection = engine.connect()
    with connection, leased_job(engine, connection, task.lease, terms) as lease:
        run = Run(lease)
        if task.dry_run:
            yield run
            return
        with one_line_errors(engine.url), connection.begin():
            lease.check(connection)
            connection.execute(SQL["end_lost_runs"], {"jobs": list(task.shared_by), "now": clock()})
            row = {"job": task.job, "since": task.since, "until": task.until, "runner": runner, "owner": terms.owner}
            number = connection.scalars(SQL["begin_run"], {**row, "now": clock()}).one()
        # Not kept open for hours: the heartbeat has a connection of its own.
        connection.close()
        outcome, told = "done", ""
        try:
            yield run
        except Interrupted as error:
            outcome, told = "ended", f"ended by {error}"
            raise
        except Exception as error:
            outcome, told = "failed", explain(error)
            raise
        finally:
            told = without_passwords(told or "\n".join(run.told))[:_MOST_TOLD]
            _end(engine, {"run": number, "outcome": outcome, "told": told, "now": clock()})


def _end(engine: Engine, row: dict[str, object]) -> None:
    """Record the end; where PostgreSQL is away, the next run finds the row without an end."""
    try:
        with uninterrupted(), one_line_errors(engine.url), engine.begin() as connection:
            connection.execute(SQL["end_run"], row)
    except (TransientError, BytemeterError) as error:
        logger().warning("end of the run not recorded", reason=str(error))
