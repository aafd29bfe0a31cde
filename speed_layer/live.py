"""The live query's micro-batches: each one read and judged by Spark, then counted in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog
from speed_layer.commits import Commits
from speed_layer.live_query import FeedOffsets, LiveQuery
from speed_layer.live_store import MicroBatch

_FEED = "feed_number"


def rows_of_all(query: LiveQuery, messages: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of all feeds of a query, given its messages by the feed's name.

    Returns:
        Rows of feed_number: byte (the place of the feed in ``query.feeds``) and the columns of all feeds.
    """
    numbered = (
        query.rows(feed, messages[feed.name]).withColumn(_FEED, F.lit(number).cast("byte"))
        for number, feed in enumerate(query.feeds)
    )
    first, *others = numbered
    for other in others:
        first = first.unionByName(other, allowMissingColumns=True)
    return first


@dataclass
class LiveBatches:
    """What the streaming query calls for each micro-batch.

    Delivery: exactly once into PostgreSQL, by the offsets (see ``LiveStore``). Everything else is done again after a
    crash: the checkpoint is scratch, a new start reads from the ledger's offsets.

    Attributes:
        position: up to where this query has read, per feed and partition.
    """

    query: LiveQuery
    commits: Commits
    offset_log: OffsetLog
    position: FeedOffsets

    def __call__(self, rows: DataFrame, batch_id: int) -> None:
        """Hand the rows of one micro-batch over to be counted.

        Raises:
            Exception: what counting the one before raised.
        """
        topics = self.commits.store.topics
        end = {feed: self.offset_log.end(batch_id, topic.name) for feed, topic in topics.items()}
        start = {
            feed: {p: self.position[feed][p] for p in offsets if p in self.position[feed]}
            for feed, offsets in end.items()
        }
        began = time.perf_counter()
        collected = rows.toArrow()
        logger().info(
            "read",
            query=self.query.name,
            batch=batch_id,
            rows=collected.num_rows,
            read_ms=round(1000 * (time.perf_counter() - began)),
        )
        self.commits.hand_over(MicroBatch(self._by_feed(collected), start, end))
        self.position = {feed: {**self.position[feed], **offsets} for feed, offsets in end.items()}

    def _by_feed(self, rows: pa.Table) -> dict[str, pa.Table]:
        if len(self.query.feeds) == 1:
            return {self.query.feeds[0].name: rows}
        return {
            feed.name: rows.filter(pc.equal(rows.column(_FEED), number)) for number, feed in enumerate(self.query.feeds)
        }
