"""The history query: each micro-batch's valid records appended to the feed's Delta table."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pyspark.sql import DataFrame

from bytemeter.feeds import Feed
from bytemeter.history import History
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

    def __call__(self, rows: DataFrame, batch_id: int) -> None:
        """Append the history rows (see ``bytemeter.history.kept``) of one micro-batch."""
        began = time.perf_counter()
        end = self.offset_log.end(batch_id, self.topic)
        self.history.append(rows, end)
        logger().info(
            "kept",
            feed=self.feed.name,
            batch=batch_id,
            offsets=end,
            append_ms=round(1000 * (time.perf_counter() - began)),
        )
