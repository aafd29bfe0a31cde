"""WindowStarts streaming queries where their sinks stand."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.history.table import History
from bytemeter.history.writing import history_files
from bytemeter.kafka import Kafka, Topic
from bytemeter.offset_log import OffsetLog, Offsets
from bytemeter.plans.outbox import Outbox
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.source import stream
from speed_layer.engine.batches import LiveBatches, blocks_of_all
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.history import HistoryBatches
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import LiveQuery
from speed_layer.engine.live_store import live_store
from speed_layer.engine.progress import ProgressWatch
from speed_layer.engine.running import BatchFunction, ErrorCapture, RunningQuery
from speed_layer.plans.query import DataPlanQuery
from speed_layer.totals.query import TotalsQuery

_SETTLE_S = 5.0


@dataclass
class Starter:
    """Starts queries in one Spark session; they end, and what they need is given back, when ``resources`` is closed.

    A micro-batch that is being read then is given up and read again at the next start.

    Attributes:
        once: the queries end when they have read what was there at their start.
    """

    session: SparkSession
    settings: Settings
    resources: ExitStack
    once: bool

    def start_live(self, feeds: Iterable[Feed], outbox: Outbox) -> Iterator[RunningQuery]:
        """Start the live queries that count these feeds.

        Raises:
            BytemeterError: a topic or a table is missing, or does not fit what was counted; another process counts.
            TransientError: a server cannot be reached.
        """
        chosen = list(feeds)
        for feed in chosen:
            if feed.totals:
                yield self._start_live(TotalsQuery(feed))
        if any(not feed.totals for feed in chosen):
            outbox.publish_waiting()
            grace = dt.timedelta(seconds=self.settings.period_grace_s)
            clock = None if self.once else _now
            yield self._start_live(DataPlanQuery(outbox, grace, clock))

    def start_history(self, feed: Feed) -> RunningQuery:
        """Start the history query of a feed.

        Raises:
            BytemeterError: see ``start_live``; the history has other columns.
            TransientError: see ``start_live``.
        """
        kafka, checkpoint = Kafka(self.settings), self._scratch()
        topic = _described(kafka, feed)
        history = History(self.session, self.settings.require_history(), feed)
        history.create()
        kept = history.end_offsets()
        start = topic.start_after(kept, what="kept", remedy="start over with an empty BYTEMETER_HISTORY")
        commits = self._commits()
        batches = HistoryBatches(history, commits, OffsetLog(checkpoint), topic.name, kept)
        files = self._messages(kafka, topic, start).transform(history_files(feed, history.path))
        started = self._start(
            f"history-{feed.name}", files, batches, checkpoint, interval_s=self.settings.history_interval_s
        )
        return RunningQuery(*started, commits)

    def _start_live(self, query: LiveQuery) -> RunningQuery:
        kafka, checkpoint = Kafka(self.settings), self._scratch()
        url = self.settings.require_database_url()
        topics = {feed.name: _described(kafka, feed) for feed in query.feeds}
        idleness = IdlePartitions(0.0 if self.once else self.settings.partition_idle_s)
        store = self.resources.enter_context(live_store(database(url), query, topics, idleness))
        start = store.start_offsets()
        commits = self._commits()
        # A head start: it takes seconds where much was counted before, as Spark does to read the first micro-batch.
        commits.submit(store.load)
        batches = LiveBatches(query, store, commits, OffsetLog(checkpoint), start)
        messages = {name: self._messages(kafka, topic, start[name]) for name, topic in topics.items()}
        blocks = blocks_of_all(query, messages)
        settling = ProgressWatch(kafka, store, every_s=min(self.settings.partition_idle_s / 4, _SETTLE_S))
        started = self._start(
            f"live-{query.name}", blocks, batches, checkpoint, interval_s=self.settings.live_interval_s
        )
        return RunningQuery(*started, commits, settling)

    def _messages(self, kafka: Kafka, topic: Topic, start: Offsets) -> DataFrame:
        return stream(self.session, kafka, topic.name, start, most_records=self.settings.max_records_per_batch)

    def _start(
        self,
        name: str,
        rows: DataFrame,
        batches: BatchFunction,
        checkpoint: Path,
        *,
        interval_s: float,
    ) -> tuple[StreamingQuery, ErrorCapture]:
        # Queries share the cores fairly: a long write of the history does not hold up live micro-batches.
        self.session.sparkContext.setLocalProperty("spark.scheduler.pool", name)
        remembering = ErrorCapture(batches)
        writer = rows.writeStream.queryName(name).option("checkpointLocation", checkpoint.as_uri())
        trigger = {"availableNow": True} if self.once else {"processingTime": f"{interval_s} seconds"}
        query = writer.foreachBatch(remembering).trigger(**trigger).start()
        self.resources.callback(query.stop)
        return query, remembering

    def _commits(self) -> CommitQueue:
        commits = CommitQueue()
        self.resources.callback(commits.close)
        return commits

    def _scratch(self) -> Path:
        folder = tempfile.TemporaryDirectory(prefix="bytemeter-", ignore_cleanup_errors=True)
        return Path(self.resources.enter_context(folder))


def _described(kafka: Kafka, feed: Feed) -> Topic:
    name = kafka.topic_name(feed.topic)
    topic = kafka.describe(name)
    if topic is None:
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {name}; run `bytemeter migrate`")
    return topic


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
