"""The live query: each micro-batch of a feed parsed, aggregated, staged and counted in one transaction."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from bytemeter.feeds import Feed
from bytemeter.logs import logger
from bytemeter.migrations import staging_schema
from bytemeter.offset_log import OffsetLog, Offsets
from speed_layer.live_store import LiveStore, MicroBatch, StagingMismatchError
from speed_layer.staging import add_up

_ATTEMPTS = 3


@dataclass
class LiveBatches:
    """What the streaming query calls for each micro-batch.

    Delivery: exactly once into PostgreSQL, by the offsets (see ``LiveStore``). Everything else is done again after a
    crash: the checkpoint is scratch, a new start reads from the ledger's offsets.

    Attributes:
        position: up to where this query has counted, per partition.
    """

    feed: Feed
    store: LiveStore
    jdbc: dict[str, str] = field(repr=False)
    offset_log: OffsetLog
    position: Offsets

    def __call__(self, found: DataFrame, batch_id: int) -> None:
        """Count the facts (see ``speed_layer.staging.facts``) of one micro-batch.

        Raises:
            StagingMismatchError: the staged rows were not those that Spark counted, however often it was tried.
        """
        end = self.offset_log.end(batch_id)
        start = {partition: self.position[partition] for partition in end if partition in self.position}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._count(found, batch_id, start, end)
                break
            except StagingMismatchError as mismatch:
                if attempt == _ATTEMPTS:
                    raise
                logger().warning("staged again", feed=self.feed.name, batch=batch_id, reason=str(mismatch))
        self.position = {**self.position, **end}

    def _count(self, found: DataFrame, batch_id: int, start: Offsets, end: Offsets) -> None:
        began = time.perf_counter()
        attempt = secrets.randbits(62)
        rows = self._stage(found, attempt)
        done_staging = time.perf_counter()
        self.store.commit(MicroBatch(attempt, rows, start, end))
        done = time.perf_counter()
        logger().info(
            "counted",
            feed=self.feed.name,
            batch=batch_id,
            offsets=end,
            records=sum(end[p] - start.get(p, end[p]) for p in end),
            rows=rows,
            stage_ms=round(1000 * (done_staging - began)),
            commit_ms=round(1000 * (done - done_staging)),
        )

    def _stage(self, found: DataFrame, attempt: int) -> int:
        observed = Observation()
        rows = found.transform(add_up).observe(observed, F.count(F.lit(1)).alias("rows"))
        table = f"{staging_schema(self.feed)}.staged"
        session = f"-c bytemeter.attempt={attempt}"
        rows.write.format("jdbc").options(**self.jdbc, dbtable=table, options=session).mode("append").save()
        return int(observed.get["rows"])
