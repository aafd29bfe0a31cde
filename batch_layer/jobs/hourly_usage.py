"""The job ``hourly``: recomputes totals and quota breaches of whole hours from the history.

On a cluster: ``spark-submit hourly_usage.py --hour H | --from H --to H | --dirty --history URI --jdbc-url URL``.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from batch_layer.hours import HOUR, chosen_hours
from batch_layer.jobs.recompute import WAIT, difference_lines
from bytemeter.ending import interruptible
from bytemeter.job import Endpoint, Job, JobContext, submit_main
from bytemeter.runs.recording import Task

if TYPE_CHECKING:
    from batch_layer.hourly.store import Recomputed
    from bytemeter.feeds import Feed

# Names of its runs, which exclude each other by one lease.
LEASE, JOBS = "hourly", ("hourly", "dirty-hours")
_NEEDS: tuple[Endpoint, ...] = ("database_url", "history")


def hourly_feeds() -> list[Feed]:
    """The feeds that have hourly totals."""
    from bytemeter.feeds import FEEDS

    return [feed for feed in FEEDS.values() if feed.totals and feed.totals.hourly]


def run(
    context: JobContext,
    *,
    hour: str | None,
    since: str | None,
    until: str | None,
    dirty: bool,
    over: bool,
    dry_run: bool,
    wait_s: float,
) -> None:
    """Recompute the hours of each feed and print what changed; with ``dry_run`` print the differences, too.

    Raises:
        click.UsageError: not exactly one of ``hour``, ``since`` with ``until``, and ``dirty`` is given, or ``over``
            without ``dirty``.
        BytemeterError: a text is not an hour, or the recompute failed.
    """
    hours = _checked_hours(hour=hour, since=since, until=until, dirty=dirty, over=over)
    before = _this_hour(context.clock()) if over else None
    with (
        interruptible(),
        context.endpoints(*_NEEDS) as settings,
        context.recorded(settings, _task(hours, dry_run=dry_run)) as run,
        context.session(settings) as session,
    ):
        from batch_layer.hourly.job import HourlyJob
        from bytemeter.history.access import require_access

        require_access(session.result(), settings.require_history(), writes=False)
        context.require_going_on()
        jobs = [
            HourlyJob(session.result(), settings, feed, dry_run, wait_s, context.cancel, run.lease)
            for feed in hourly_feeds()
        ]
        # All of them first: the histories are written at the same intervals, so that one interval is waited for, not
        # one for each feed.
        snapshots = [job.snapshot() for job in jobs]
        for job, snapshot in zip(jobs, snapshots, strict=True):
            result = job.run(hours, dirty_before=before, snapshot=snapshot)
            context.require_going_on()
            for line in _lines(result, dry_run=dry_run):
                run.told.append(f"{job.feed.name}: {line}" if len(jobs) > 1 else line)
                click.echo(run.told[-1])


def _checked_hours(
    *, hour: str | None, since: str | None, until: str | None, dirty: bool, over: bool, **_: object
) -> list[dt.datetime] | None:
    if [bool(hour), bool(since or until), dirty].count(True) != 1 or bool(since) != bool(until):
        raise click.UsageError("give one of --hour HOUR, --from HOUR --to HOUR, or --dirty")
    if over and not dirty:
        raise click.UsageError("--over goes with --dirty")
    return chosen_hours(hour=hour, since=since, until=until)


def _task(hours: list[dt.datetime] | None, *, dry_run: bool) -> Task:
    if hours is None:
        return Task("dirty-hours", LEASE, JOBS, dry_run=dry_run)
    return Task("hourly", LEASE, JOBS, min(hours), max(hours) + HOUR, dry_run)


def _this_hour(now: dt.datetime) -> dt.datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _lines(result: Recomputed, *, dry_run: bool) -> Iterator[str]:
    if dry_run:
        shown = [(f"{d.timestamp:%Y-%m-%dT%H} {d.type} {d.id}", d.before, d.after) for d in result.differences]
        yield from difference_lines(shown, result.changed)
    verb = "would change" if dry_run else "changed"
    yield f"{result.hours} hours recomputed, {verb} {result.changed} totals; {result.breaches} quota breaches"


JOB = Job(
    name="hourly",
    help="Recompute the totals and quota breaches of whole hours.",
    needs=_NEEDS,
    params=(
        click.Option(["--hour"], metavar="HOUR", help="one hour, e.g. 2026-11-21T10 (UTC)"),
        click.Option(["--from", "since"], metavar="HOUR", help="first hour of a range"),
        click.Option(["--to", "until"], metavar="HOUR", help="the hour after the last one of the range"),
        click.Option(["--dirty"], is_flag=True, help="all hours with records that no recompute has seen"),
        click.Option(["--over"], is_flag=True, help="with --dirty: without the hour that is not over yet"),
        click.Option(["--dry-run"], is_flag=True, help="print the differences, write nothing"),
        WAIT,
    ),
    run=run,
    check=_checked_hours,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job inside spark-submit; see ``submit_main``."""
    return submit_main(JOB, argv)


if __name__ == "__main__":
    sys.exit(main())
