"""The job ``maintain``: keeps the history in few, large files, and deletes what no reader needs any more.

On a cluster: ``spark-submit maintain.py --history URI --jdbc-url URL``.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bytemeter.ending import interruptible
from bytemeter.job import Endpoint, Job, JobContext, submit_main
from bytemeter.runs.recording import Task

if TYPE_CHECKING:
    from batch_layer.maintenance.job import Maintained

# Names of its runs and of their lease.
LEASE = "maintain"
_NEEDS: tuple[Endpoint, ...] = ("database_url", "history")


def run(context: JobContext, *, quiet_s: float, dry_run: bool) -> None:
    """Maintain each table of the history, and print what was done; with ``dry_run`` what would be.

    Raises:
        BytemeterError: a table cannot be maintained.
    """
    quiet = dt.timedelta(seconds=quiet_s)
    with (
        interruptible(),
        context.endpoints(*_NEEDS) as settings,
        context.recorded(settings, Task(LEASE, LEASE, (LEASE,), dry_run=dry_run)) as run,
        context.session(settings) as session,
    ):
        from batch_layer.maintenance.job import MaintainJob
        from bytemeter.history.access import require_access

        require_access(session.result(), settings.require_history(), writes=not dry_run)
        context.require_going_on()
        for table in MaintainJob(session.result(), settings, context.clock(), quiet, dry_run=dry_run).run():
            context.require_going_on()
            run.told.append(_line(table, dry_run=dry_run))
            click.echo(run.told[-1])


def _line(table: Maintained, *, dry_run: bool) -> str:
    done = table.compacted
    files = f"{table.before} -> {table.after} files"
    sizes = "" if dry_run else f" ({_megabytes(table.size_before)} -> {_megabytes(table.size_after)})"
    merged = f"{done.merged} files of {done.folders} folders merged into {done.written}"
    left = f", {done.left} merges left to the next run" if done.left else ""
    deleted = f"{table.deleted} files deleted ({_megabytes(table.deleted_size)})"
    log = "" if dry_run else f"; log {table.log_before} -> {table.log_after} files"
    return f"{'would be: ' if dry_run else ''}{table.table}: {files}{sizes}: {merged}{left}; {deleted}{log}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


JOB = Job(
    name="maintain",
    help="Compact the history, clean its log, and delete files that no reader needs.",
    needs=_NEEDS,
    params=(
        click.Option(
            ["--quiet", "quiet_s"],
            type=click.FloatRange(min=0),
            default=3600.0,
            metavar="SECONDS",
            help="seconds after its end from which an hour is compacted",
        ),
        click.Option(["--dry-run"], is_flag=True, help="print what would be done, change nothing"),
    ),
    run=run,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job inside spark-submit; see ``submit_main``."""
    return submit_main(JOB, argv)


if __name__ == "__main__":
    sys.exit(main())
