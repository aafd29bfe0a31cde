"""A started query, and why it ended: our own error where the micro-batch raised one, else what Spark tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from bytemeter.errors import BytemeterError, TransientError
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.progress import ProgressWatch

BatchFunction = Callable[[DataFrame, int], None]

_MISSING_TABLE = 'ERROR: relation "'
# Servers that are away show as these; whatever else is wrong with them is told when the query is started again.
_OUTAGES = (
    "org.apache.kafka",
    "org.postgresql.util.PSQLException",
    "java.net.",
    "KafkaException",
    "google::cloud::Status(UNAVAILABLE",
)


class ErrorCapture:
    """A batch function that keeps the error that it raised: Spark tells only its text."""

    def __init__(self, function: BatchFunction) -> None:
        self._function = function
        self.failure: Exception | None = None

    def __call__(self, messages: DataFrame, batch_id: int) -> None:
        """Run the batch function."""
        try:
            self._function(messages, batch_id)
        except Exception as error:
            self.failure = error
            raise


@dataclass(frozen=True)
class RunningQuery:
    """A streaming query that is to be watched.

    Attributes:
        commits: of what it has read.
        settling: of a live query, what is done between micro-batches.
    """

    query: StreamingQuery
    batches: ErrorCapture
    commits: CommitQueue
    settling: ProgressWatch | None = None

    def active(self) -> bool:
        """Whether it still reads, or commits what was read."""
        return bool(self.query.isActive) or self.commits.busy()

    def report_progress(self) -> None:
        """Do what follows from how far its feeds have come, see ``ProgressWatch``."""
        if self.settling:
            self.settling.now()

    def check_progress(self) -> None:
        """The same, unless it was done just before."""
        if self.settling:
            self.settling.when_due()

    def raise_failure(self) -> None:
        """Tell why the query failed, if it did.

        Raises:
            TransientError: a server was away.
            BytemeterError: what the micro-batch or its commit raised, or a missing table.
            Exception: any other error of them or of Spark.
        """
        uncommitted = self.commits.failure()
        failure = uncommitted or self.query.exception()
        if failure is None:
            return
        cause = uncommitted or self.batches.failure or failure
        if isinstance(cause, Py4JJavaError | PySparkException):
            raise _explained(self.query.name, cause) from failure
        raise cause


def _explained(name: str, error: Exception) -> Exception:
    told = str(error)
    lines = [line.strip() for line in told.splitlines() if any(outage in line for outage in _OUTAGES)]
    if _MISSING_TABLE in told:
        return BytemeterError(
            f"the query {name} misses a table: {lines[0] if lines else told[:200]}; run `bytemeter migrate`"
        )
    if lines:
        return TransientError(f"the query {name} lost a server: {lines[0].removeprefix('Caused by: ')}")
    return error
