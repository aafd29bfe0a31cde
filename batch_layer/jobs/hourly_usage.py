"""The job ``hourly``: recomputes totals and quota breaches of whole hours from the history.

On a cluster: ``spark-submit hourly_usage.py --hour H | --from H --to H | --dirty --history URI --jdbc-url URL``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from batch_layer.hours import chosen_hours
from batch_layer.jobs.recompute import WAIT, difference_lines
from bytemeter.ending import interruptible
from bytemeter.job import Endpoint, Job, JobContext, submit_main

if TYPE_CHECKING:
    from batch_layer.hourly.store import Recomputed
    from bytemeter.feeds import Feed

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
    dry_run: bool,
    wait_s: float,
) -> None:
    """Recompute the hours of each feed and print what changed; with ``dry_run`` print the differences, too.

    Raises:
        click.UsageError: not exactly one of ``hour``, ``since`` with ``until``, and ``dirty`` is given.
        BytemeterError: a text is not an hour, or the recompute failed.
    """
    if [bool(hour), bool(since or until), dirty].count(True) != 1 or bool(since) != bool(until):
        raise click.UsageError("give one of --hour HOUR, --from HOUR --to HOUR, or --dirty")
    hours = chosen_hours(hour=hour, since=since, until=until)
    feeds = hourly_feeds()
    with interruptible(), context.endpoints(*_NEEDS) as settings, context.session(settings) as session:
        from batch_layer.hourly.job import HourlyJob
        from bytemeter.history.access import require_access

        require_access(session.result(), settings.require_history(), writes=False)
        for feed in feeds:
            result = HourlyJob(session.result(), settings, feed, dry_run=dry_run, wait_s=wait_s).run(hours)
            for line in _lines(result, dry_run=dry_run):
                click.echo(f"{feed.name}: {line}" if len(feeds) > 1 else line)


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
        click.Option(["--dry-run"], is_flag=True, help="print the differences, write nothing"),
        WAIT,
    ),
    run=run,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job inside spark-submit; see ``submit_main``."""
    return submit_main(JOB, argv)


if __name__ == "__main__":
    sys.exit(main())
