"""Commits micro-batches one after the other in a thread, while Spark reads the next one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from bytemeter.logs import logger

Prepared = TypeVar("Prepared")


@dataclass
class CommitQueue:
    """The commits of one query: at most one runs, and at most one more micro-batch waits for it.

    Delivery: that of the commit functions. After a commit has failed no other is run, because the next micro-batch
    starts where the failed one should have ended.
    """

    _committer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "commits"), init=False, repr=False
    )
    _preparer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "preparing"), init=False, repr=False
    )
    _latest: Future[None] | None = field(default=None, init=False, repr=False)

    def prepare(self, work: Callable[[], Prepared]) -> Future[Prepared]:
        """Start work that the next commit needs, beside the commit that may be running.

        Returns:
            Its result, or the error that it raised.
        """
        return self._preparer.submit(work)

    def submit(self, commit: Callable[[], None]) -> None:
        """Wait until the previous micro-batch is committed, then start this commit.

        Raises:
            Exception: the error of the previous commit.
        """
        if self._latest:
            self._latest.result()
        self._latest = self._committer.submit(commit)

    def is_committing(self) -> bool:
        """Whether a commit is running."""
        return self._latest is not None and not self._latest.done()

    def error(self) -> BaseException | None:
        """The error of the latest commit, if it has failed."""
        latest = self._latest
        return latest.exception() if latest and latest.done() else None

    def close(self) -> None:
        """Wait for the commit that is running, and take no other.

        An error of this last commit is only logged: its micro-batch is read again at the next start.
        """
        was_committing = self.is_committing()
        self._committer.shutdown()
        self._preparer.shutdown()
        if was_committing and (error := self.error()):
            logger().warning("not committed", reason=str(error))
