"""The history query: the files that executors wrote of each micro-batch, committed to the feed's Delta table."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pyspark.sql import DataFrame

from bytemeter.feeds import Feed
from bytemeter.history import History, Written
from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog


@dataclass(frozen=True)
class HistoryBatches:
    """What the streaming query calls for each micro-batch.

    Delivery: exactly once (see ``History``), also when the checkpoint is lost: it is scratch, a new start reads from
    the end offsets of the last commit.
    """

    feed: Feed
    history: History
    offset_log: OffsetLog
    topic: str

    def __call__(self, files: DataFrame, batch_id: int) -> None:
        """Let executors write the files of a micro-batch (see ``bytemeter.history.history_files``), and commit them."""
        began = time.perf_counter()
        end = self.offset_log.end(batch_id, self.topic)
        written = [Written(**file.asDict()) for file in files.collect()]
        writing_s = time.perf_counter() - began
        self.history.append(written, end)
        logger().info(
            "kept",
            feed=self.feed.name,
            batch=batch_id,
            offsets=end,
            records=sum(file.records for file in written),
            files=len(written),
            write_ms=round(1000 * writing_s),
            commit_ms=round(1000 * (time.perf_counter() - began - writing_s)),
        )
