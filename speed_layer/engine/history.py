"""The history query's micro-batches: executors write their files, the driver commits these to the Delta tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame

from bytemeter.executors import Read
from bytemeter.history.table import History, InvalidMessages
from bytemeter.history.writing import Written, gather, results_of
from bytemeter.logs import logger
from bytemeter.offset_log import OffsetLog, Offsets
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.slices import Slices


@dataclass
class HistoryBatches:
    """The function that Spark calls for each micro-batch of a history query.

    Delivery: exactly once by the end offsets of the last commit (see ``History``). The checkpoint may be lost: each
    start reads from these end offsets.

    Two tables have no commit in common. The invalid messages of a micro-batch are committed before its records. Should
    the process end in between, the next start reads the micro-batch again and leaves out the invalid messages below the
    end offsets of their own table.

    Attributes:
        topic: with its prefix.
        end_offsets: by partition the end offsets of the last micro-batch submitted; at a start, of the last commit.
        next_offsets: by partition the offset at which the next micro-batch starts.
        invalid_ends: by partition the end offsets of the last commit of invalid messages.
        slices: cut a micro-batch of too many bytes. Each slice is committed as a micro-batch of its own.
        note: called with the end offsets after each commit.
        topic_id: goes into each commit: by it a re-created topic is known.
    """

    history: History
    invalid: InvalidMessages
    commits: CommitQueue
    offset_log: OffsetLog
    topic: str
    end_offsets: Offsets
    next_offsets: Offsets
    invalid_ends: Offsets
    slices: Slices
    note: Callable[[Offsets], None] = lambda _: None
    topic_id: str | None = None

    def __call__(self, files: DataFrame, batch_id: int) -> None:
        """Write the files of a micro-batch on the executors, and submit them to be committed.

        Args:
            files: a row for each file or remainder (see ``bytemeter.history.writing.HistoryFiles``).

        Raises:
            Exception: the error of the previous commit.
        """
        end = self.offset_log.end_offsets(batch_id, self.topic)
        name = self.history.feed.name
        start = {partition: offset for partition, offset in self.next_offsets.items() if partition in end}
        for piece in self.slices.read(files, {name: start}, {name: end}, self._written):
            reached = dict(piece.end[name])
            self.commits.submit(partial(self._commit, piece.result, reached, after=self.end_offsets))
            self.end_offsets = self.next_offsets = reached

    def _written(self, files: DataFrame) -> tuple[list[Written], Read]:
        """Run the job of a micro-batch or a slice of it, and write what its tasks have handed over."""
        began = time.perf_counter()
        rows = [row.asDict(recursive=True) for row in files.collect()]
        read = Read.of(row.pop("read") for row in rows)
        written, remainders = results_of(rows)
        if not read.gave_up:
            written += gather(remainders)
        logger().info(
            "written",
            feed=self.history.feed.name,
            files=len(written),
            records=sum(file.records for file in written),
            write_ms=round(1000 * (time.perf_counter() - began)),
        )
        return written, read

    def _commit(self, files: list[Written], end: Offsets, *, after: Offsets) -> None:
        began = time.perf_counter()
        self._commit_invalid([file for file in files if file.table == self.invalid.path], end)
        kept = [file for file in files if file.table == self.history.path]
        self.history.append(kept, end, after=after, topic_id=self.topic_id)
        self.note(end)
        logger().info(
            "kept",
            feed=self.history.feed.name,
            offsets=end,
            commit_ms=round(1000 * (time.perf_counter() - began)),
        )

    def _commit_invalid(self, files: list[Written], end: Offsets) -> None:
        if not files:
            return
        # It may have reached further already, in a micro-batch whose records were not committed.
        reached = {p: max(offset, self.invalid_ends.get(p, 0)) for p, offset in {**self.invalid_ends, **end}.items()}
        self.invalid.append(files, reached, after=self.invalid_ends, topic_id=self.topic_id)
        self.invalid_ends = reached
