"""The live query's micro-batches: each one added up, staged and counted in one transaction."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from bytemeter.logs import logger
from bytemeter.migrations import staging_schema
from bytemeter.offset_log import OffsetLog
from speed_layer.live_query import FeedOffsets, LiveQuery
from speed_layer.live_store import LiveStore, MicroBatch, StagingMismatchError

_ATTEMPTS = 3


@dataclass
class LiveBatches:
    """What the streaming query calls for each micro-batch.

    Delivery: exactly once into PostgreSQL, by the offsets (see ``LiveStore``). Everything else is done again after a
    crash: the checkpoint is scratch, a new start reads from the ledger's offsets.

    Attributes:
        position: up to where this query has counted, per feed and partition.
    """

    query: LiveQuery
    store: LiveStore
    jdbc: dict[str, str] = field(repr=False)
    offset_log: OffsetLog
    position: FeedOffsets

    def __call__(self, found: DataFrame, batch_id: int) -> None:
        """Count the query's facts of one micro-batch.

        Raises:
            StagingMismatchError: the staged rows were not those that Spark counted, however often it was tried.
        """
        end = {feed: self.offset_log.end(batch_id, topic.name) for feed, topic in self.store.topics.items()}
        start = {
            feed: {p: self.position[feed][p] for p in offsets if p in self.position[feed]}
            for feed, offsets in end.items()
        }
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._count(found, batch_id, start, end)
                break
            except StagingMismatchError as mismatch:
                if attempt == _ATTEMPTS:
                    raise
                logger().warning("staged again", query=self.query.name, batch=batch_id, reason=str(mismatch))
        self.position = {feed: {**self.position[feed], **offsets} for feed, offsets in end.items()}

    def _count(self, found: DataFrame, batch_id: int, start: FeedOffsets, end: FeedOffsets) -> None:
        began = time.perf_counter()
        attempt = secrets.randbits(62)
        rows = self._stage(found, attempt)
        done_staging = time.perf_counter()
        self.store.commit(MicroBatch(attempt, rows, start, end))
        done = time.perf_counter()
        logger().info(
            "counted",
            query=self.query.name,
            batch=batch_id,
            offsets=end,
            records=sum(end[feed][p] - start[feed].get(p, end[feed][p]) for feed in end for p in end[feed]),
            rows=rows,
            stage_ms=round(1000 * (done_staging - began)),
            commit_ms=round(1000 * (done - done_staging)),
        )

    def _stage(self, found: DataFrame, attempt: int) -> int:
        observed = Observation()
        rows = self.query.add_up(found).observe(observed, F.count(F.lit(1)).alias("rows"))
        table = f"{staging_schema(self.query.name)}.staged"
        session = f"-c bytemeter.attempt={attempt}"
        rows.write.format("jdbc").options(**self.jdbc, dbtable=table, options=session).mode("append").save()
        return int(observed.get["rows"])
