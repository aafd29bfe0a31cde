"""Starts the streaming queries, each at the offsets up to which its sink holds records."""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from bytemeter.errors import BytemeterError, TransientError, first_line
from bytemeter.feeds import Feed
from bytemeter.history.table import History, InvalidMessages
from bytemeter.history.writing import MOST_GATHERED_BYTES, HistoryFiles
from bytemeter.kafka import Kafka, Topic
from bytemeter.leases.lease import Terms
from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog, Offsets
from bytemeter.plans.outbox import Outbox
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.source import stream
from speed_layer.engine.batches import LiveBatches, blocks_of_feeds
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.history import HistoryBatches
from speed_layer.engine.history_ends import HistoryEnds
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import FeedOffsets, LiveQuery
from speed_layer.engine.live_store import live_store
from speed_layer.engine.progress import ProgressWatch
from speed_layer.engine.running import BatchFunction, ErrorCapture, RunningQuery
from speed_layer.engine.slices import Bounds, Slices
from speed_layer.live_queries import CountingContext, LiveQueryPlan
from speed_layer.routing.catching_up import catch_up
from speed_layer.routing.query import RoutedQuery

_CHECK_PROGRESS_S = 5.0


@dataclass
class Starter:
    """Starts queries in one Spark session.

    Closing the stack that a start is given stops the query, waits for the commit that runs, and closes connections and
    the checkpoint. A micro-batch that is being read is given up; the next start reads it again.

    Attributes:
        outbox: publishes threshold events.
        once: queries end when they have read the messages that the topics had at the start.
        ending: set when all queries are to end: a micro-batch that is read in slices ends after the slice in work.
    """

    session: SparkSession
    settings: Settings
    outbox: Outbox
    once: bool
    ending: threading.Event = field(default_factory=threading.Event)

    def start_live(self, plan: LiveQueryPlan, resources: ExitStack) -> RunningQuery:
        """Start a live query (see ``speed_layer.live_queries``).

        Raises:
            BytemeterError: a topic or a table is missing, a topic does not continue what the ledger has counted, or
                another process counts a feed.
            TransientError: a server cannot be reached.
        """
        settings, kafka = self.settings, Kafka(self.settings)
        checkpoint = _temporary_folder(resources)
        grace = dt.timedelta(seconds=settings.period_grace_s)
        clock, horizon = None if self.once else _now, dt.timedelta(seconds=settings.identity_horizon_s)
        query = plan.make(CountingContext(self.outbox, grace, clock, horizon))
        topics = {feed.name: _topic_of(kafka, feed) for feed in query.feeds}
        idle_partitions = IdlePartitions(0.0 if self.once else settings.partition_idle_s)
        engine, terms = database(settings.require_database_url()), Terms(silent_s=settings.lease_s)
        store = resources.enter_context(live_store(engine, query, topics, idle_partitions, terms))
        start = store.start_offsets()
        bounds = self._bounds(topics, query)
        if isinstance(query, RoutedQuery):
            resources.callback(query.router.close)
            self._catch_up(query, kafka, topics, start, bounds)
        commits = _commit_queue(resources)
        # Already now, so that it runs beside Spark's reading of the first micro-batch: each takes seconds.
        commits.submit(store.load)
        blocks_of = partial(
            blocks_of_feeds, query, task_bytes=bounds.task_bytes, payload_bytes=settings.invalid_payload_bytes
        )
        slices = Slices.of_topics(self.session, kafka, topics, blocks_of, bounds, self.ending)
        batches = LiveBatches(query, store, commits, OffsetLog(checkpoint), start, slices)
        blocks = blocks_of({name: self._messages(kafka, topic, start[name]) for name, topic in topics.items()})
        progress = ProgressWatch(kafka, store, every_s=min(settings.partition_idle_s / 4, _CHECK_PROGRESS_S))
        name, interval_s = f"live-{query.name}", settings.live_interval_s
        started = self._start(name, blocks, batches, checkpoint, resources, interval_s=interval_s)
        return RunningQuery(*started, commits, progress)

    def start_history(self, feed: Feed, resources: ExitStack) -> RunningQuery:
        """Start the history query of a feed.

        Raises:
            BytemeterError: the topic is missing, it does not continue what the history holds or was re-created since,
                or the history has other columns than the feed.
            TransientError: a server cannot be reached.
        """
        kafka, checkpoint = Kafka(self.settings), _temporary_folder(resources)
        topic = _topic_of(kafka, feed)
        history = History(self.session, self.settings.require_history(), feed)
        invalid = InvalidMessages(self.session, history.root, feed)
        for table in (history, invalid):
            table.create(retention_h=self.settings.history_retention_h)
            table.require_topic(topic.id, topic=topic.name)
        end_offsets, invalid_ends = history.end_offsets(), invalid.end_offsets()
        start = topic.resume_offsets(
            end_offsets, sink="the history", remedy="start over with an empty BYTEMETER_HISTORY"
        )
        commits = _commit_queue(resources)
        bounds = self._bounds([topic])
        gathered = MOST_GATHERED_BYTES // bounds.tasks
        files_of = HistoryFiles(feed, history.path, invalid.path, bounds.task_bytes, invalid_ends, gathered).of
        slices = Slices.of_topics(
            self.session,
            kafka,
            {feed.name: topic},
            lambda messages: files_of(messages[feed.name]),
            bounds,
            self.ending,
        )
        batches = HistoryBatches(
            *(history, invalid, commits, OffsetLog(checkpoint), topic.name, end_offsets, start, invalid_ends, slices),
            note=HistoryEnds(database(self.settings.require_database_url()), feed).note,
            topic_id=topic.id,
        )
        files = files_of(self._messages(kafka, topic, start))
        name, interval_s = f"history-{feed.name}", self.settings.history_interval_s
        started = self._start(name, files, batches, checkpoint, resources, interval_s=interval_s)
        return RunningQuery(*started, commits)

    def _messages(self, kafka: Kafka, topic: Topic, start: Offsets) -> DataFrame:
        return stream(self.session, kafka, topic.name, start, most_records=self.settings.max_records_per_batch)

    def _catch_up(
        self, query: RoutedQuery, kafka: Kafka, topics: Mapping[str, Topic], counted: FeedOffsets, bounds: Bounds
    ) -> None:
        slices_of = partial(Slices.of_topics, self.session, kafka, topics, bounds=bounds, ending=self.ending)
        engine = database(self.settings.require_database_url())
        catch_up(query, engine, topics[query.name], counted[query.name], slices_of, bounds.task_bytes)

    def _bounds(self, topics: Collection[object], query: LiveQuery | None = None) -> Bounds:
        cores = self.session.sparkContext.defaultParallelism
        # What is sent on passes the driver.
        share = 2 if isinstance(query, RoutedQuery) else 1
        return Bounds.of(self.settings.max_bytes_per_batch // share, cores, len(topics))

    def _start(
        self,
        name: str,
        rows: DataFrame,
        batches: BatchFunction,
        checkpoint: Path,
        resources: ExitStack,
        *,
        interval_s: float,
    ) -> tuple[StreamingQuery, ErrorCapture]:
        if any(query.name == name for query in self.session.streams.active):
            raise TransientError(f"the query {name} of the last start has not ended yet: a server does not answer it")
        # A scheduler pool per query shares the cores fairly: a long write of the history does not delay live queries.
        self.session.sparkContext.setLocalProperty("spark.scheduler.pool", name)
        capture = ErrorCapture(batches)
        writer = rows.writeStream.queryName(name).option("checkpointLocation", checkpoint.as_uri())
        trigger = {"availableNow": True} if self.once else {"processingTime": f"{interval_s} seconds"}
        query = writer.foreachBatch(capture).trigger(**trigger).start()
        resources.callback(_stop, query)
        return query, capture


def _stop(query: StreamingQuery) -> None:
    """Stop a query; one that does not end, since it waits for a server, is left to end by itself."""
    try:
        query.stop()
    except (Py4JError, PySparkException) as error:
        logger().warning("not stopped", query=query.name, reason=first_line(error))


def _commit_queue(resources: ExitStack) -> CommitQueue:
    commits = CommitQueue()
    resources.callback(commits.close)
    return commits


def _temporary_folder(resources: ExitStack) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="bytemeter-", ignore_cleanup_errors=True)
    return Path(resources.enter_context(folder))


def _topic_of(kafka: Kafka, feed: Feed) -> Topic:
    name = kafka.topic_name(feed.topic)
    topic = kafka.describe(name)
    if topic is None:
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {name}; run `bytemeter migrate`")
    return topic


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
