"""The live query's micro-batches: Spark reads and parses each one, one transaction counts it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.live_query import Count, FeedOffsets, LiveQuery
from speed_layer.engine.live_store import LiveStore, MicroBatch
from speed_layer.executor.blocks import NO_MESSAGES, Parts, messages_to_blocks, parts_from_blocks


def blocks_of_feeds(query: LiveQuery, messages: Mapping[str, DataFrame]) -> DataFrame:
    """The blocks of all feeds of a query.

    Args:
        messages: of the Kafka source, by feed name.

    Returns:
        Rows of feed: string (the feed's name), part: string and block: binary (see ``speed_layer.executor.blocks``).
    """
    blocks_by_feed = (
        messages_to_blocks(messages[feed.name], query.to_parts(feed)).select(
            F.lit(feed.name).alias("feed"), "part", "block"
        )
        for feed in query.feeds
    )
    return reduce(DataFrame.union, blocks_by_feed)


@dataclass
class LiveBatches:
    """The function that Spark calls for each micro-batch of a live query.

    Delivery: exactly once into PostgreSQL by the offsets in the ledger (see ``LiveStore``). The checkpoint may be lost:
    each start reads from the ledger's offsets.

    Attributes:
        next_offsets: by feed and partition the offset at which the next micro-batch starts.
    """

    query: LiveQuery
    store: LiveStore
    commits: CommitQueue
    offset_log: OffsetLog
    next_offsets: FeedOffsets
    _empty_parts: Mapping[str, Parts] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._empty_parts = {feed.name: self.query.to_parts(feed)(NO_MESSAGES) for feed in self.query.feeds}

    def __call__(self, blocks: DataFrame, batch_id: int) -> None:
        """Let executors parse a micro-batch, and submit it to be counted.

        Args:
            blocks: see ``blocks_of_feeds``.

        Raises:
            Exception: the error of the previous micro-batch's transaction.
        """
        end = {feed: self.offset_log.end_offsets(batch_id, topic.name) for feed, topic in self.store.topics.items()}
        start = self._start_offsets(end)
        began = time.perf_counter()
        received = self._parts_by_feed(blocks.toArrow())
        records = _received_count(received)
        logger().info(
            "read",
            query=self.query.name,
            batch=batch_id,
            records=records,
            read_ms=round(1000 * (time.perf_counter() - began)),
        )
        prepared = self.commits.prepare(partial(self.query.prepare, received))
        self.commits.submit(partial(self._commit, prepared, start, end, records))
        self.next_offsets = {feed: {**self.next_offsets[feed], **offsets} for feed, offsets in end.items()}

    def _start_offsets(self, end: FeedOffsets) -> FeedOffsets:
        """Where the micro-batch starts; new partitions, which the ledger does not know, are left out."""
        return {
            feed: {p: self.next_offsets[feed][p] for p in offsets if p in self.next_offsets[feed]}
            for feed, offsets in end.items()
        }

    def _commit(self, prepared: Future[Count], start: FeedOffsets, end: FeedOffsets, records: int) -> None:
        began = time.perf_counter()
        self.store.commit(MicroBatch(prepared.result(), start, end))
        logger().info(
            "counted",
            query=self.query.name,
            offsets=end,
            records=records,
            commit_ms=round(1000 * (time.perf_counter() - began)),
        )

    def _parts_by_feed(self, blocks: pa.Table) -> dict[str, Parts]:
        return {
            feed: parts_from_blocks(blocks.filter(pc.equal(blocks.column("feed"), feed)), empty_parts)
            for feed, empty_parts in self._empty_parts.items()
        }


def _received_count(received: Mapping[str, Parts]) -> int:
    """How many messages a micro-batch has, given its parts by feed."""
    return sum(pc.sum(parts["received"].column("received")).as_py() or 0 for parts in received.values())
