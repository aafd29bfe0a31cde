"""``spark-submit stream_usage.py --kafka HOST:PORT --jdbc-url URL --history URI``: both queries on a cluster."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from bytemeter import logs
from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS, feed_named
from bytemeter.postgres import url_from_jdbc
from bytemeter.settings import load_settings
from bytemeter.spark import submitted_session
from speed_layer.stream import Streams


def main(argv: Sequence[str] | None = None) -> int:
    """Stream; 0 when stopped or done, 1 with one line when failed, 2 on wrong usage."""
    given = _parser().parse_args(argv)
    try:
        settings = load_settings(kafka=given.kafka, database_url=url_from_jdbc(given.jdbc_url), history=given.history)
        logs.configure(settings.log_format)
        feeds = [feed_named(name) for name in given.feeds or FEEDS]
        streams = Streams(submitted_session("bytemeter-stream"), settings, feeds, once=given.once)
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: streams.stop.set())
        streams.run()
    except BytemeterError as error:
        print(f"bytemeter: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Count feeds live into PostgreSQL and keep their history.")
    parser.add_argument("feeds", nargs="*", metavar="FEED", help=f"of {', '.join(FEEDS)}; all by default")
    parser.add_argument("--kafka", required=True, help="bootstrap servers HOST:PORT[,HOST:PORT]")
    parser.add_argument("--jdbc-url", required=True, help="jdbc:postgresql://HOST:PORT/DB?user=U&password=P")
    parser.add_argument("--history", required=True, help="folder or gs://bucket/prefix")
    parser.add_argument("--once", action="store_true", help="count what is there and exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
