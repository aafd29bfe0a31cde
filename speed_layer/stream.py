"""Runs the queries of the feeds: starts them where PostgreSQL and the history stand, and again after an outage."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sqlalchemy import Engine

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import Feed
from bytemeter.history import History, history_rows
from bytemeter.kafka import Kafka, Topic
from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog, Offsets
from bytemeter.parsing import parse
from bytemeter.postgres import database, jdbc_options
from bytemeter.settings import Settings
from bytemeter.source import stream
from speed_layer.history import HistoryBatches
from speed_layer.live import LiveBatches
from speed_layer.live_store import live_store
from speed_layer.running import BatchFunction, Remembering, RunningQuery
from speed_layer.staging import facts

_POLL_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


@dataclass
class Streams:
    """The live and the history query of some feeds, in one Spark session.

    Attributes:
        once: count what is there and return, instead of going on.
        live, history: which of the two queries to run.
        stop: set from another thread or a signal handler to end after the running micro-batches.
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
        """Run until stopped, or with ``once`` until all that is there is counted.

        An unreachable server ends the queries; they are started again, after a pause, from where PostgreSQL and the
        history stand.

        Raises:
            BytemeterError: something that a new start does not mend; at the first start, and with ``once``, also an
                unreachable server.
        """
        pause = _FIRST_PAUSE_S
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._run_until_stopped()
                break
            except TransientError as outage:
                if self.once or not self._started:
                    raise
                if time.monotonic() - began > _LONGEST_PAUSE_S:
                    pause = _FIRST_PAUSE_S
                logger().warning("waiting", reason=str(outage), pause_s=pause)
                self.stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _run_until_stopped(self) -> None:
        with ExitStack() as resources:
            queries: list[RunningQuery] = []
            try:
                for feed in self.feeds:
                    queries += self._start(feed, resources)
                self._started = True
                while not self.stop.is_set() and any(query.active() for query in queries):
                    self.stop.wait(_POLL_S)
                    for query in queries:
                        query.raise_failure()
            finally:
                for query in queries:
                    query.stop()

    def _start(self, feed: Feed, resources: ExitStack) -> list[RunningQuery]:
        kafka, engine = Kafka(self.settings), database(self.settings.require_database_url())
        name = kafka.topic_name(feed.topic)
        topic = kafka.describe(name)
        if topic is None:
            raise BytemeterError(f"Kafka at {kafka.servers} has no topic {name}; run `bytemeter migrate`")
        scratch = Path(
            resources.enter_context(tempfile.TemporaryDirectory(prefix="bytemeter-", ignore_cleanup_errors=True))
        )
        started = []
        if self.live:
            started.append(self._start_live(feed, kafka, topic, engine, scratch / "live", resources))
        if self.history:
            started.append(self._start_history(feed, kafka, topic, scratch / "history"))
        return started

    def _start_live(
        self, feed: Feed, kafka: Kafka, topic: Topic, engine: Engine, checkpoint: Path, resources: ExitStack
    ) -> RunningQuery:
        store = resources.enter_context(live_store(engine, feed, topic))
        start = store.start_offsets()
        jdbc = jdbc_options(self.settings.require_database_url())
        batches = LiveBatches(feed, store, jdbc, OffsetLog(checkpoint, topic.name), start)
        messages = self._messages(kafka, topic, start)
        rows = messages.transform(parse(feed, judged_at=F.current_timestamp())).transform(facts(feed))
        return self._query(f"live-{feed.name}", rows, batches, checkpoint, interval_s=0)

    def _start_history(self, feed: Feed, kafka: Kafka, topic: Topic, checkpoint: Path) -> RunningQuery:
        history = History(self.session, self.settings.require_history(), feed)
        history.create()
        start = topic.start_after(
            history.end_offsets(), what="kept", remedy="start over with an empty BYTEMETER_HISTORY"
        )
        batches = HistoryBatches(feed, history, OffsetLog(checkpoint, topic.name))
        rows = self._messages(kafka, topic, start).transform(parse(feed)).transform(history_rows(feed))
        interval_s = self.settings.history_interval_s
        return self._query(f"history-{feed.name}", rows, batches, checkpoint, interval_s=interval_s)

    def _messages(self, kafka: Kafka, topic: Topic, start: Offsets) -> DataFrame:
        return stream(self.session, kafka, topic.name, start, most_records=self.settings.max_records_per_batch)

    def _query(
        self, name: str, rows: DataFrame, batches: BatchFunction, checkpoint: Path, *, interval_s: float
    ) -> RunningQuery:
        # Queries share the cores fairly: a long write of the history does not hold up live micro-batches.
        self.session.sparkContext.setLocalProperty("spark.scheduler.pool", name)
        remembering = Remembering(batches)
        writer = rows.writeStream.queryName(name).option("checkpointLocation", checkpoint.as_uri())
        trigger = {"availableNow": True} if self.once else {"processingTime": f"{interval_s} seconds"}
        return RunningQuery(writer.foreachBatch(remembering).trigger(**trigger).start(), remembering)
