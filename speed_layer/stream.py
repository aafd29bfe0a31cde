"""Runs the live and history queries of feeds, and restarts them after an outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from pyspark.sql import SparkSession

from bytemeter.errors import TransientError
from bytemeter.feeds import Feed
from bytemeter.kafka import Kafka
from bytemeter.logs import logger
from bytemeter.memory import keep_freed_memory
from bytemeter.plans.outbox import Outbox
from bytemeter.postgres import database
from bytemeter.settings import Settings
from speed_layer.engine.running import RunningQuery
from speed_layer.engine.start import Starter
from speed_layer.plans.query import SOURCE

_POLL_S = 0.2
_HEAD_START_S, _HEAD_START_POLL_S = 10.0, 0.05
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


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
    _started: bool = field(default=False, init=False)

    def run(self) -> None:
        """Run until stopped, or with ``once`` until all messages are processed.

        An unreachable server ends the queries. They are restarted after a pause, from the offsets that PostgreSQL and
        the history hold.

        Raises:
            BytemeterError: a restart cannot help.
            TransientError: a server cannot be reached at the first start, or with ``once``.
        """
        keep_freed_memory()
        # Shared by all restarts: its producer still holds the events that Kafka has not acknowledged, and a new one
        # would send them a second time.
        outbox = Outbox(Kafka(self.settings), database(self.settings.require_database_url()), SOURCE)
        pause = _FIRST_PAUSE_S
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._run_until_stopped(outbox)
                break
            except TransientError as outage:
                if self.once or not self._started:
                    raise
                if time.monotonic() - began > _LONGEST_PAUSE_S:
                    pause = _FIRST_PAUSE_S
                logger().warning("waiting", reason=str(outage), pause_s=pause)
                self.stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        outbox.close()

    def _run_until_stopped(self, outbox: Outbox) -> None:
        with ExitStack() as resources:
            starter = Starter(self.session, self.settings, resources, once=self.once)
            queries: list[RunningQuery] = []
            if self.live:
                queries += starter.start_live(self.feeds, outbox)
            if self.history:
                self._wait_for_first_batches(queries)
                queries += [starter.start_history(feed) for feed in self.feeds]
            self._started = True
            self._watch(queries)

    def _wait_for_first_batches(self, queries: list[RunningQuery]) -> None:
        """Give the live queries the cores until each has read its first micro-batch, or for some seconds.

        Queries that start at the same time take twice as long until the first record is counted.
        """
        deadline = time.monotonic() + _HEAD_START_S
        while not self.stop.is_set() and time.monotonic() < deadline and not all(q.has_begun() for q in queries):
            self.stop.wait(_HEAD_START_POLL_S)
        for query in queries:
            query.raise_error()

    def _watch(self, queries: list[RunningQuery]) -> None:
        while not self.stop.is_set() and any(query.is_active() for query in queries):
            self.stop.wait(_POLL_S)
            for query in queries:
                query.raise_error()
                if not self.once:
                    query.check_progress_if_due()
        for query in queries:
            query.raise_error()
        if self.once and not self.stop.is_set():
            for query in queries:
                query.check_progress_until_done()
