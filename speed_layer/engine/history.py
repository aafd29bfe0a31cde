"""The history query's micro-batches: executors write their files, the driver commits these to the Delta table."""

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
    """The function that Spark calls for each micro-batch of a history query.

    Delivery: exactly once by the end offsets of the last commit (see ``History``). The checkpoint may be lost: each
    start reads from these end offsets.

    Attributes:
        topic: with its prefix.
        end_offsets: by partition the end offsets of the last micro-batch submitted; at a start, of the last commit.
    """

    history: History
    commits: CommitQueue
    offset_log: OffsetLog
    topic: str
    end_offsets: Offsets

    def __call__(self, files: DataFrame, batch_id: int) -> None:
        """Write the files of a micro-batch on the executors, and submit them to be committed.

        Args:
            files: a row per file (see ``bytemeter.history.writing.history_files``).

        Raises:
            Exception: the error of the previous commit.
        """
        end = self.offset_log.end_offsets(batch_id, self.topic)
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
        self.commits.submit(partial(self._commit, written, end, after=self.end_offsets))
        self.end_offsets = end

    def _commit(self, files: list[Written], end: Offsets, *, after: Offsets) -> None:
        began = time.perf_counter()
        self.history.append(files, end, after=after)
        logger().info(
            "kept",
            feed=self.history.feed.name,
            offsets=end,
            commit_ms=round(1000 * (time.perf_counter() - began)),
        )
