"""The live query's micro-batches: each one read and judged by Spark, then counted in one transaction."""

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
from speed_layer.executor.blocks import NO_MESSAGES, Parts, in_blocks, parts_of


def blocks_of_all(query: LiveQuery, messages: Mapping[str, DataFrame]) -> DataFrame:
    """What is to be counted of all feeds of a query, given its messages by the feed's name.

    Returns:
        Rows of feed: string (its name), part: string and block: binary (see ``speed_layer.executor.blocks``).
    """
    return reduce(
        DataFrame.union,
        (
            in_blocks(messages[feed.name], query.to_parts(feed)).select(F.lit(feed.name).alias("feed"), "part", "block")
            for feed in query.feeds
        ),
    )


@dataclass
class LiveBatches:
    """What the streaming query calls for each micro-batch.

    Delivery: exactly once into PostgreSQL, by the offsets (see ``LiveStore``). Everything else is done again after a
    crash: the checkpoint is scratch, a new start reads from the ledger's offsets.

    Attributes:
        position: up to where this query has read, per feed and partition.
    """

    query: LiveQuery
    store: LiveStore
    commits: CommitQueue
    offset_log: OffsetLog
    position: FeedOffsets
    _nothing: Mapping[str, Parts] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._nothing = {feed.name: self.query.to_parts(feed)(NO_MESSAGES) for feed in self.query.feeds}

    def __call__(self, blocks: DataFrame, batch_id: int) -> None:
        """Hand what is in the blocks of one micro-batch over to be counted.

        Raises:
            Exception: what counting the one before raised.
        """
        end = {feed: self.offset_log.end(batch_id, topic.name) for feed, topic in self.store.topics.items()}
        start = {
            feed: {p: self.position[feed][p] for p in offsets if p in self.position[feed]}
            for feed, offsets in end.items()
        }
        began = time.perf_counter()
        received = self._by_feed(blocks.toArrow())
        records = _messages(received)
        logger().info(
            "read",
            query=self.query.name,
            batch=batch_id,
            records=records,
            read_ms=round(1000 * (time.perf_counter() - began)),
        )
        prepared = self.commits.prepare(partial(self.query.prepare, received))
        self.commits.submit(partial(self._commit, prepared, start, end, records))
        self.position = {feed: {**self.position[feed], **offsets} for feed, offsets in end.items()}

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

    def _by_feed(self, blocks: pa.Table) -> dict[str, Parts]:
        return {
            feed: parts_of(blocks.filter(pc.equal(blocks.column("feed"), feed)), nothing)
            for feed, nothing in self._nothing.items()
        }


def _messages(received: Mapping[str, Parts]) -> int:
    """How many they are."""
    return sum(pc.sum(parts["received"].column("received")).as_py() or 0 for parts in received.values())
