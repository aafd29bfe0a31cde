"""``spark-submit monthly_usage.py --month M --kafka HOST:PORT --history URI --jdbc-url URL``: the monthly recompute."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence

from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import parse_month
from bytemeter import logs
from bytemeter.errors import BytemeterError
from bytemeter.postgres import url_from_jdbc
from bytemeter.settings import load_settings
from bytemeter.spark import submitted_session


def main(argv: Sequence[str] | None = None) -> int:
    """Recompute; 0 when done, 1 with one line when failed, 2 on wrong usage."""
    given = _parser().parse_args(argv)
    try:
        month = parse_month(given.month)
        settings = load_settings(kafka=given.kafka, database_url=url_from_jdbc(given.jdbc_url), history=given.history)
        logs.configure(settings.log_format)
        session = submitted_session("bytemeter-monthly")
        MonthlyJob(session, settings, month, dt.datetime.now(dt.UTC), dry_run=given.dry_run).run()
    except BytemeterError as error:
        print(f"bytemeter: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Recompute a month of usage from the history into PostgreSQL.")
    parser.add_argument("--month", required=True, help="e.g. 2026-11")
    parser.add_argument("--kafka", required=True, help="bootstrap servers HOST:PORT[,HOST:PORT], for threshold events")
    parser.add_argument("--history", required=True, help="folder or gs://bucket/prefix")
    parser.add_argument("--jdbc-url", required=True, help="jdbc:postgresql://HOST:PORT/DB?user=U&password=P")
    parser.add_argument("--dry-run", action="store_true", help="tell the differences, write and publish nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
