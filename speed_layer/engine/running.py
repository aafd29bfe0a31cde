"""A started query, and the error with which it ended: our own if a micro-batch raised one, else Spark's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from bytemeter.spark_errors import error_of
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.progress import ProgressWatch

BatchFunction = Callable[[DataFrame, int], None]


class ErrorCapture:
    """A batch function that keeps the error that it raised; Spark passes on only the error's text.

    Attributes:
        error: None as long as no micro-batch failed.
        called: whether a micro-batch was handed over, or failed.
    """

    def __init__(self, function: BatchFunction) -> None:
        self._function = function
        self.error: Exception | None = None
        self.called = False

    def __call__(self, rows: DataFrame, batch_id: int) -> None:
        """Call the function."""
        try:
            self._function(rows, batch_id)
        except Exception as error:
            self.error = error
            raise
        finally:
            self.called = True


@dataclass(frozen=True)
class RunningQuery:
    """A started streaming query.

    Attributes:
        batches: what Spark calls for each micro-batch.
        commits: the commits of its micro-batches.
        progress: of a live query only.
    """

    query: StreamingQuery
    batches: ErrorCapture
    commits: CommitQueue
    progress: ProgressWatch | None = None

    def has_begun(self) -> bool:
        """Whether its first micro-batch was read, or it has ended."""
        return self.batches.called or not self.query.isActive

    def is_active(self) -> bool:
        """Whether it still reads micro-batches or commits one."""
        return bool(self.query.isActive) or self.commits.is_committing()

    def check_progress_if_due(self) -> None:
        """See ``ProgressWatch.check_if_due``; a history query has nothing to do."""
        if self.progress:
            self.progress.check_if_due()

    def check_progress_until_done(self) -> None:
        """See ``ProgressWatch.check_until_done``; a history query has nothing to do."""
        if self.progress:
            self.progress.check_until_done()

    def raise_error(self) -> None:
        """Raise the error with which the query failed; return if it did not.

        Raises:
            Exception: the error that a micro-batch or its commit raised, else that of Spark.
        """
        commit_error = self.commits.error()
        reported = commit_error or error_of(self.query)
        if reported is not None:
            raise commit_error or self.batches.error or reported
