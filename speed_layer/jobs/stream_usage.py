"""The job ``stream``: counts feeds live into PostgreSQL and writes their history.

On a cluster: ``spark-submit stream_usage.py --kafka HOST:PORT --jdbc-url URL --history URI [FEED]... [--once]``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bytemeter.ending import until_signal
from bytemeter.job import Endpoint, Job, JobContext, submit_main

if TYPE_CHECKING:
    from bytemeter.feeds import Feed
    from bytemeter.settings import Settings

_NEEDS: tuple[Endpoint, ...] = ("kafka", "database_url", "history")


def run(context: JobContext, *, feeds: tuple[str, ...], once: bool, live: bool, keep: bool) -> None:
    """Run the queries until a signal stops them, or with ``once`` until they have read all messages.

    Raises:
        BytemeterError: a feed is unknown or counted by another process, or a query failed in a way that a restart does
            not mend.
        TransientError: a server cannot be reached.
    """
    chosen = _feeds(feeds)
    needed = (name for name in _NEEDS if keep or name != "history")
    with until_signal() as signals, context.endpoints(*needed) as settings:
        if live:
            _require_unheard(settings, chosen)
        with context.session(settings) as session:
            from speed_layer.stream import Streams

            spark = session.result()
            with signals.deferred() as stop:
                Streams(spark, settings, chosen, once=once, live=live, history=keep, stop=stop).run()


def _require_unheard(settings: Settings, feeds: Sequence[Feed]) -> None:
    """Refuse to start beside a process that counts one of the feeds, before Spark takes seconds to start."""
    from bytemeter.leases.lease import Terms, require_unheard
    from bytemeter.postgres import database, one_line_errors

    engine = database(settings.require_database_url())
    with one_line_errors(engine.url), engine.connect() as connection:
        require_unheard(connection, [feed.name for feed in feeds], Terms(silent_s=settings.lease_s))


def _feeds(names: tuple[str, ...]) -> list[Feed]:
    from bytemeter.feeds import FEEDS, feed_named

    return [feed_named(name) for name in names or FEEDS]


JOB = Job(
    name="stream",
    help="Run the live and the history query, of all feeds by default, until Ctrl-C.",
    needs=_NEEDS,
    params=(
        click.Argument(["feeds"], nargs=-1, metavar="[FEED]..."),
        click.Option(["--once"], is_flag=True, help="count the messages that Kafka has now, and exit"),
        click.Option(["--live/--no-live"], default=True, help="count into PostgreSQL"),
        click.Option(["--keep/--no-keep"], default=True, help="write the history"),
    ),
    run=run,
    check=lambda *, feeds, **_: _feeds(feeds),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job inside spark-submit; see ``submit_main``."""
    return submit_main(JOB, argv)


if __name__ == "__main__":
    sys.exit(main())
