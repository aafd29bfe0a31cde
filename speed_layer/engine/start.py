"""Starts the streaming queries, each at the offsets up to which its sink holds records."""

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
from speed_layer.engine.batches import LiveBatches, blocks_of_feeds
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.history import HistoryBatches
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import LiveQuery
from speed_layer.engine.live_store import live_store
from speed_layer.engine.progress import ProgressWatch
from speed_layer.engine.running import BatchFunction, ErrorCapture, RunningQuery
from speed_layer.live_queries import CountingContext, live_queries

_CHECK_PROGRESS_S = 5.0


@dataclass
class Starter:
    """Starts queries in one Spark session.

    Attributes:
        resources: closing it stops the queries, waits for the commits that run, and closes connections and checkpoints.
            A micro-batch that is being read is given up; the next start reads it again.
        once: queries end when they have read the messages that the topics had at the start.
    """

    session: SparkSession
    settings: Settings
    resources: ExitStack
    once: bool

    def start_live(self, feeds: Iterable[Feed], outbox: Outbox) -> Iterator[RunningQuery]:
        """Start the live queries that count these feeds (see ``speed_layer.live_queries``).

        Raises:
            BytemeterError: a topic or a table is missing, a topic does not continue what the ledger has counted, or
                another process counts a feed.
            TransientError: a server cannot be reached.
        """
        grace = dt.timedelta(seconds=self.settings.period_grace_s)
        clock = None if self.once else _now
        horizon = dt.timedelta(seconds=self.settings.identity_horizon_s)
        for query in live_queries(feeds, CountingContext(outbox, grace, clock, horizon)):
            yield self._start_live_query(query)

    def start_history(self, feed: Feed) -> RunningQuery:
        """Start the history query of a feed.

        Raises:
            BytemeterError: the topic is missing, it does not continue what the history holds, or the history has other
                columns than the feed.
            TransientError: a server cannot be reached.
        """
        kafka, checkpoint = Kafka(self.settings), self._temporary_folder()
        topic = _topic_of(kafka, feed)
        history = History(self.session, self.settings.require_history(), feed)
        history.create()
        end_offsets = history.end_offsets()
        start = topic.resume_offsets(
            end_offsets, sink="the history", remedy="start over with an empty BYTEMETER_HISTORY"
        )
        commits = self._commit_queue()
        batches = HistoryBatches(history, commits, OffsetLog(checkpoint), topic.name, end_offsets)
        files = self._messages(kafka, topic, start).transform(history_files(feed, history.path))
        started = self._start(
            f"history-{feed.name}", files, batches, checkpoint, interval_s=self.settings.history_interval_s
        )
        return RunningQuery(*started, commits)

    def _start_live_query(self, query: LiveQuery) -> RunningQuery:
        kafka, checkpoint = Kafka(self.settings), self._temporary_folder()
        url = self.settings.require_database_url()
        topics = {feed.name: _topic_of(kafka, feed) for feed in query.feeds}
        idle_partitions = IdlePartitions(0.0 if self.once else self.settings.partition_idle_s)
        store = self.resources.enter_context(live_store(database(url), query, topics, idle_partitions))
        start = store.start_offsets()
        commits = self._commit_queue()
        # Already now, so that it runs beside Spark's reading of the first micro-batch: each takes seconds.
        commits.submit(store.load)
        batches = LiveBatches(query, store, commits, OffsetLog(checkpoint), start)
        messages = {name: self._messages(kafka, topic, start[name]) for name, topic in topics.items()}
        blocks = blocks_of_feeds(query, messages)
        progress = ProgressWatch(kafka, store, every_s=min(self.settings.partition_idle_s / 4, _CHECK_PROGRESS_S))
        started = self._start(
            f"live-{query.name}", blocks, batches, checkpoint, interval_s=self.settings.live_interval_s
        )
        return RunningQuery(*started, commits, progress)

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
        # A scheduler pool per query shares the cores fairly: a long write of the history does not delay live queries.
        self.session.sparkContext.setLocalProperty("spark.scheduler.pool", name)
        capture = ErrorCapture(batches)
        writer = rows.writeStream.queryName(name).option("checkpointLocation", checkpoint.as_uri())
        trigger = {"availableNow": True} if self.once else {"processingTime": f"{interval_s} seconds"}
        query = writer.foreachBatch(capture).trigger(**trigger).start()
        self.resources.callback(query.stop)
        return query, capture

    def _commit_queue(self) -> CommitQueue:
        commits = CommitQueue()
        self.resources.callback(commits.close)
        return commits

    def _temporary_folder(self) -> Path:
        folder = tempfile.TemporaryDirectory(prefix="bytemeter-", ignore_cleanup_errors=True)
        return Path(self.resources.enter_context(folder))


def _topic_of(kafka: Kafka, feed: Feed) -> Topic:
    name = kafka.topic_name(feed.topic)
    topic = kafka.describe(name)
    if topic is None:
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {name}; run `bytemeter migrate`")
    return topic


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
