"""The history query: the files that executors wrote of each micro-batch, committed to the feed's Delta table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame

from bytemeter.history.table import History
from bytemeter.history.writing import Written
from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog, Offsets
from speed_layer.engine.commits import CommitQueue


@dataclass
class HistoryBatches:
    """What the streaming query calls for each micro-batch.

    Delivery: exactly once (see ``History``), also when the checkpoint is lost: it is scratch, a new start reads from
    the end offsets of the last commit.

    Attributes:
        position: the end offsets of what was handed over last, at a start those of the last commit.
    """

    history: History
    commits: CommitQueue
    offset_log: OffsetLog
    topic: str
    position: Offsets

    def __call__(self, files: DataFrame, batch_id: int) -> None:
        """Let executors write the files of a micro-batch (see ``bytemeter.history.history_files``), hand them over.

        Raises:
            Exception: what committing the ones before raised.
        """
        end = self.offset_log.end(batch_id, self.topic)
        began = time.perf_counter()
        written = [Written(**file.asDict()) for file in files.collect()]
        logger().info(
            "written",
            feed=self.history.feed.name,
            batch=batch_id,
            files=len(written),
            records=sum(file.records for file in written),
            write_ms=round(1000 * (time.perf_counter() - began)),
        )
        self.commits.submit(partial(self._commit, written, end, self.position))
        self.position = end

    def _commit(self, files: list[Written], end: Offsets, after: Offsets) -> None:
        began = time.perf_counter()
        self.history.append(files, end, after=after)
        logger().info(
            "kept",
            feed=self.history.feed.name,
            offsets=end,
            commit_ms=round(1000 * (time.perf_counter() - began)),
        )
