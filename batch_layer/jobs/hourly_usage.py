"""``spark-submit hourly_usage.py --hour H --history URI --jdbc-url URL``: the hourly recompute on a cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from batch_layer.hourly.job import HourlyJob
from batch_layer.hours import chosen_hours
from bytemeter import logs
from bytemeter.errors import BytemeterError
from bytemeter.feeds import feed_named
from bytemeter.postgres import url_from_jdbc
from bytemeter.settings import load_settings
from bytemeter.spark import submitted_session


def main(argv: Sequence[str] | None = None) -> int:
    """Recompute; 0 when done, 1 with one line when failed, 2 on wrong usage."""
    try:
        given = _parsed(argv)
        settings = load_settings(database_url=url_from_jdbc(given.jdbc_url), history=given.history)
        logs.configure(settings.log_format)
        session = submitted_session("bytemeter-hourly")
        HourlyJob(session, settings, feed_named("devices"), dry_run=given.dry_run).run(given.hours)
    except BytemeterError as error:
        print(f"bytemeter: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Recompute hours of usage from the history into PostgreSQL.")
    parser.add_argument("--history", required=True, help="folder or gs://bucket/prefix")
    parser.add_argument("--jdbc-url", required=True, help="jdbc:postgresql://HOST:PORT/DB?user=U&password=P")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--hour", help="e.g. 2026-11-21T10 (UTC)")
    which.add_argument("--from", dest="since", help="first hour of a range")
    which.add_argument("--dirty", action="store_true", help="all hours with records that no recompute has seen")
    parser.add_argument("--to", dest="until", help="hour after the last one of the range")
    parser.add_argument("--dry-run", action="store_true", help="tell the differences, write nothing")
    given = parser.parse_args(argv)
    if bool(given.since) != bool(given.until):
        parser.error("--from and --to go together")
    given.hours = chosen_hours(hour=given.hour, since=given.since, until=given.until)
    return given


if __name__ == "__main__":
    sys.exit(main())
