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

from bytemeter.executors import Read
from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.live_query import Count, FeedOffsets, LiveQuery
from speed_layer.engine.live_store import LiveStore, MicroBatch
from speed_layer.engine.slices import Slice, Slices
from speed_layer.executor.accounts import with_cut_payloads
from speed_layer.executor.blocks import NO_MESSAGES, Parts, messages_to_blocks, parts_from_blocks

# The parts of a micro-batch by feed.
Received = dict[str, Parts]


def blocks_of_feeds(
    query: LiveQuery, messages: Mapping[str, DataFrame], *, task_bytes: int, payload_bytes: int
) -> DataFrame:
    """The blocks of all feeds of a query.

    Args:
        messages: of the Kafka source, by feed name.
        task_bytes: what a task may read.
        payload_bytes: what is kept of an invalid message.

    Returns:
        Rows of feed: string (the feed's name), part: string, block: binary and read: struct (see
        ``speed_layer.executor.blocks``).
    """
    blocks_by_feed = (
        messages_to_blocks(
            messages[feed.name],
            partial(with_cut_payloads, query.to_parts(feed), payload_bytes),
            task_bytes=task_bytes,
        ).select(F.lit(feed.name).alias("feed"), "part", "block", "read")
        for feed in query.feeds
    )
    return reduce(DataFrame.union, blocks_by_feed)


@dataclass
class LiveBatches:
    """The function that Spark calls for each micro-batch of a live query.

    Delivery: exactly once into PostgreSQL by the offsets in the ledger (see ``LiveStore``). The checkpoint may be lost:
    each start reads from the ledger's offsets.

    Attributes:
        slices: cut a micro-batch of too many bytes. Each slice is counted as a micro-batch of its own.
        next_offsets: by feed and partition the offset at which the next micro-batch starts.
    """

    query: LiveQuery
    store: LiveStore
    commits: CommitQueue
    offset_log: OffsetLog
    next_offsets: FeedOffsets
    slices: Slices
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
        for piece in self.slices.read(blocks, self._start_offsets(end), end, self._received):
            self._submit(piece)

    def _start_offsets(self, end: FeedOffsets) -> FeedOffsets:
        """Where the micro-batch starts; new partitions, which the ledger does not know, are left out."""
        return {
            feed: {p: self.next_offsets[feed][p] for p in offsets if p in self.next_offsets[feed]}
            for feed, offsets in end.items()
        }

    def _received(self, blocks: DataFrame) -> tuple[Received, Read]:
        """Run the job of a micro-batch or a slice of it."""
        began = time.perf_counter()
        rows = blocks.toArrow()
        received, read = self._parts_by_feed(rows), Read.of(rows.column("read").to_pylist())
        logger().info(
            "read",
            query=self.query.name,
            records=read.messages,
            read_ms=round(1000 * (time.perf_counter() - began)),
        )
        return received, read

    def _submit(self, piece: Slice[Received]) -> None:
        prepared = self.commits.prepare(partial(self.query.prepare, piece.result))
        records = _received_count(piece.result)
        self.commits.submit(partial(self._commit, prepared, piece.start, piece.end, records))
        self.next_offsets = {feed: {**self.next_offsets[feed], **offsets} for feed, offsets in piece.end.items()}

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

    def _parts_by_feed(self, blocks: pa.Table) -> Received:
        by_feed: dict[str, list[tuple[str, pa.BinaryScalar]]] = {feed: [] for feed in self._empty_parts}
        names = (blocks.column(name).to_pylist() for name in ("feed", "part"))
        for feed, part, block in zip(*names, blocks.column("block"), strict=True):
            if part is not None:
                by_feed[feed].append((part, block))
        return {feed: parts_from_blocks(by_feed[feed], empty_parts) for feed, empty_parts in self._empty_parts.items()}


def _received_count(received: Mapping[str, Parts]) -> int:
    """How many messages a micro-batch has, given its parts by feed."""
    return sum(pc.sum(parts["received"].column("received")).as_py() or 0 for parts in received.values())
