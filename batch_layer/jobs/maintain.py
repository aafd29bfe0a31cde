"""The job ``maintain``: keeps the history in few, large files, and deletes what no reader needs any more.

On a cluster: ``spark-submit maintain.py --history URI``.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bytemeter.ending import interruptible
from bytemeter.job import Endpoint, Job, JobContext, submit_main

if TYPE_CHECKING:
    from batch_layer.maintenance.job import Maintained

_NEEDS: tuple[Endpoint, ...] = ("history",)


def run(context: JobContext, *, quiet_s: float, dry_run: bool) -> None:
    """Maintain each table of the history, and print what was done; with ``dry_run`` what would be.

    Raises:
        BytemeterError: a table cannot be maintained.
    """
    now, quiet = dt.datetime.now(dt.UTC), dt.timedelta(seconds=quiet_s)
    with interruptible(), context.endpoints(*_NEEDS) as settings, context.session(settings) as session:
        from batch_layer.maintenance.job import MaintainJob

        for table in MaintainJob(session.result(), settings, now, quiet, dry_run=dry_run).run():
            click.echo(_line(table, dry_run=dry_run))


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
