"""The job ``monthly``: recomputes totals and data plans of a month, and emits the events that follow from it.

On a cluster: ``spark-submit monthly_usage.py --month M --kafka HOST:PORT --history URI --jdbc-url URL``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from batch_layer.jobs.recompute import WAIT, difference_lines
from batch_layer.months import Month, parse_month
from bytemeter.ending import interruptible
from bytemeter.job import Endpoint, Job, JobContext, submit_main
from bytemeter.runs.recording import Task

if TYPE_CHECKING:
    from batch_layer.monthly.job import MonthRecomputed

_NEEDS: tuple[Endpoint, ...] = ("kafka", "database_url", "history")


def run(context: JobContext, *, month: str, dry_run: bool, wait_s: float) -> None:
    """Recompute the month and print what changed; with ``dry_run`` print the differences, too.

    Raises:
        BytemeterError: the text is not a month, or the recompute failed.
    """
    chosen, now = parse_month(month), context.clock()
    task = Task("monthly", "monthly", ("monthly",), chosen.start, chosen.end, dry_run)
    with (
        interruptible(),
        context.endpoints(*_NEEDS) as settings,
        context.recorded(settings, task) as run,
        context.session(settings) as session,
    ):
        from batch_layer.monthly.job import MonthlyJob
        from bytemeter.history.access import require_access

        require_access(session.result(), settings.require_history(), writes=False)
        context.require_going_on()
        result = MonthlyJob(session.result(), settings, chosen, now, dry_run, wait_s, run.lease).run()
        run.told.extend(_lines(result, chosen, dry_run=dry_run))
    for line in run.told:
        click.echo(line)


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
        click.Option(["--month"], metavar="MONTH", required=True, help="e.g. 2026-11"),
        click.Option(["--dry-run"], is_flag=True, help="print the differences, write and publish nothing"),
        WAIT,
    ),
    run=run,
    check=lambda *, month, **_: parse_month(month),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job inside spark-submit; see ``submit_main``."""
    return submit_main(JOB, argv)


if __name__ == "__main__":
    sys.exit(main())
