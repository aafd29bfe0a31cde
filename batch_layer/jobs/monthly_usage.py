"""The job ``monthly``: recomputes totals and data plans of a month, and emits the events that follow from it.

On a cluster: ``spark-submit monthly_usage.py --month M | --dirty --kafka HOST:PORT --history URI --jdbc-url URL``.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from batch_layer.jobs.recompute import WAIT, difference_lines
from batch_layer.months import Month, parse_month, settled_after_s
from bytemeter.ending import interruptible
from bytemeter.job import Endpoint, Job, JobContext, submit_main
from bytemeter.runs.recording import Task

if TYPE_CHECKING:
    from batch_layer.monthly.job import MonthRecomputed
    from bytemeter.settings import Settings

# Names of its runs, which exclude each other by one lease.
LEASE, JOBS = "monthly", ("monthly", "dirty-months")
_NEEDS: tuple[Endpoint, ...] = ("kafka", "database_url", "history")


def run(context: JobContext, *, month: str | None, dirty: bool, dry_run: bool, wait_s: float) -> None:
    """Recompute a month, or all dirty ones, and print what changed; with ``dry_run`` print the differences, too.

    Raises:
        click.UsageError: not exactly one of ``month`` and ``dirty`` is given.
        BytemeterError: the text is not a month, or the recompute failed.
    """
    asked, now = _checked_month(month=month, dirty=dirty), context.clock()
    with (
        interruptible(),
        context.endpoints(*_NEEDS) as settings,
        context.recorded(settings, _task(asked, dry_run=dry_run)) as run,
        context.session(settings) as session,
    ):
        from batch_layer.monthly.job import MonthlyJob
        from bytemeter.history.access import require_access

        require_access(session.result(), settings.require_history(), writes=False)
        for chosen in [asked] if asked else _dirty_months(settings, now):
            context.require_going_on()
            job = MonthlyJob(session.result(), settings, chosen, now, dry_run, wait_s, run.lease, context.cancel)
            result = job.run()
            for line in _lines(result, chosen, dry_run=dry_run):
                run.told.append(line)
                click.echo(line)
        if not run.told:
            click.echo("no month that is over has events that no run has seen")


def _checked_month(*, month: str | None, dirty: bool, **_: object) -> Month | None:
    if bool(month) == dirty:
        raise click.UsageError("give one of --month MONTH, or --dirty")
    return parse_month(month) if month else None


def _task(asked: Month | None, *, dry_run: bool) -> Task:
    if asked is None:
        return Task("dirty-months", LEASE, JOBS, dry_run=dry_run)
    return Task("monthly", LEASE, JOBS, asked.start, asked.end, dry_run)


def _dirty_months(settings: Settings, now: dt.datetime) -> list[Month]:
    from batch_layer.monthly.billing import dirty_months
    from bytemeter.postgres import database

    before = now - dt.timedelta(seconds=settled_after_s(settings.period_grace_s))
    return dirty_months(database(settings.require_database_url()), before)


def _lines(result: MonthRecomputed, month: Month, *, dry_run: bool) -> Iterator[str]:
    if dry_run:
        totals = [(f"{d.timestamp:%Y-%m} {d.type} {d.id}", d.before, d.after) for d in result.total_differences]
        yield from difference_lines(totals, result.totals)
        plans = [(f"{month} agreement {p.agreement_id}", p.before, p.after) for p in result.plan_differences]
        yield from difference_lines(plans, result.plans)
    verb = "would change" if dry_run else "changed"
    events = ", ".join(f"{count} {type_}" for type_, count in sorted(result.events.items())) or "none"
    yield f"{month}: {verb} {result.totals} totals, {result.plans} billing periods; events: {events}"
    if result.billed:
        made = ", ".join(f"{count} {state}" for state, count in result.billed.invoices.items()) or "none"
        yield f"{month}: {verb} {result.billed.corrected} live totals of billable events; invoices made: {made}"


JOB = Job(
    name="monthly",
    help="Recompute a month: totals, data plans, missed thresholds, periods that are over, invoices.",
    needs=_NEEDS,
    params=(
        click.Option(["--month"], metavar="MONTH", help="e.g. 2026-11"),
        click.Option(
            ["--dirty"], is_flag=True, help="all billing months that are over, with events that no run has seen"
        ),
        click.Option(["--dry-run"], is_flag=True, help="print the differences, write and publish nothing"),
        WAIT,
    ),
    run=run,
    check=_checked_month,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job inside spark-submit; see ``submit_main``."""
    return submit_main(JOB, argv)


if __name__ == "__main__":
    sys.exit(main())
