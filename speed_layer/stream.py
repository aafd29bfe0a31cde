"""Runs the live and history queries of feeds, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial

from pyspark.sql import SparkSession

from bytemeter.feeds import Feed, with_schemas
from bytemeter.history.access import require_access
from bytemeter.kafka import Kafka
from bytemeter.memory import keep_freed_memory
from bytemeter.plans.outbox import Outbox
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.spark import use_in_this_thread
from bytemeter.telemetry.schema_files import read_folder
from speed_layer.engine.running import RunningQuery
from speed_layer.engine.start import Starter
from speed_layer.engine.supervised import Supervised
from speed_layer.live_queries import live_queries

_POLL_S = 0.2
_HEAD_START_S = 10.0


@dataclass
class Streams:
    """The live and the history queries of some feeds, in one Spark session.

    Attributes:
        once: process the messages that the topics have at the start, then return.
        live, history: which of the two kinds of queries to run.
        stop: set it, from another thread or a signal handler, to end after the running micro-batches.
    """

    session: SparkSession
    settings: Settings
    feeds: Iterable[Feed]
    once: bool = False
    live: bool = True
    history: bool = True
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run until stopped, or with ``once`` until all messages are processed.

        A query that loses a server is started again after a pause, from the offsets that PostgreSQL or the history
        hold; the other queries go on.

        Raises:
            BytemeterError: a query failed, and a restart cannot help.
            TransientError: a server cannot be reached at the first start, or with ``once``.
        """
        keep_freed_memory()
        if self.history:
            require_access(self.session, self.settings.require_history(), writes=True)
        # Shared by all restarts: its producer still holds the events that Kafka has not acknowledged, and a new one
        # would send them a second time.
        outbox = Outbox(Kafka(self.settings), database(self.settings.require_database_url()))
        own_schemas = read_folder(self.settings.telemetry_schemas)
        feeds = [with_schemas(feed.in_zone(self.settings.billing_zone), own_schemas) for feed in self.feeds]
        ending = threading.Event()
        starter = Starter(self.session, self.settings, outbox, self.once, ending)
        supervised = partial(Supervised, ending=ending, once=self.once)
        live = [
            supervised(f"live-{query.name}", partial(starter.start_live, query))
            for query in (live_queries(feeds) if self.live else ())
        ]
        after_live = partial(_wait_for_first_batches, live, ending)
        history = [
            supervised(f"history-{feed.name}", partial(_start_history, starter, feed, after_live))
            for feed in (feeds if self.history else ())
        ]
        with closing(outbox):
            self._run_all([*live, *history], ending)

    def _run_all(self, queries: Sequence[Supervised], ending: threading.Event) -> None:
        """Run the queries until all have ended; the first that fails, or ``stop``, ends the others."""
        prepare_thread = partial(use_in_this_thread, self.session)
        with ThreadPoolExecutor(max(1, len(queries)), "query", prepare_thread) as pool:
            running = [pool.submit(query.run) for query in queries]
            while not ending.is_set() and not all(query.done() for query in running):
                wait(running, _POLL_S, FIRST_EXCEPTION)
                if self.stop.is_set() or any(_has_failed(query) for query in running):
                    ending.set()
        for query in running:
            query.result()


def _has_failed(query: Future[None]) -> bool:
    return query.done() and query.exception() is not None


def _start_history(starter: Starter, feed: Feed, after_live: partial[None], resources: ExitStack) -> RunningQuery:
    after_live()
    return starter.start_history(feed, resources)


def _wait_for_first_batches(live: Sequence[Supervised], ending: threading.Event) -> None:
    """Give the live queries the cores until each has read its first micro-batch, or for some seconds.

    Queries that start at the same time take twice as long until the first record is counted.
    """
    deadline = time.monotonic() + _HEAD_START_S
    for query in live:
        while not (query.begun.is_set() or ending.is_set() or time.monotonic() > deadline):
            query.begun.wait(_POLL_S)
