"""CommitQueue micro-batches in a thread of its own, in turn, while Spark reads the next one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from bytemeter.logs import logger

Prepared = TypeVar("Prepared")


@dataclass
class CommitQueue:
    """The commits of one query: at most one runs, and one more micro-batch waits for it.

    Delivery: that of what is handed over. A failure is told to whoever comes next; nothing is committed after it, since
    what was committed then does not end where the next micro-batch starts.
    """

    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "commits"), init=False, repr=False)
    _beside: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "preparing"), init=False, repr=False
    )
    _running: Future[None] | None = field(default=None, init=False, repr=False)

    def prepare(self, part: Callable[[], Prepared]) -> Future[Prepared]:
        """Do what the next commit needs while one may run; it tells what that raised."""
        return self._beside.submit(part)

    def submit(self, commit: Callable[[], None]) -> None:
        """Wait until the micro-batch before is committed, and let this one be.

        Raises:
            Exception: what committing the one before raised.
        """
        if self._running:
            self._running.result()
        self._running = self._pool.submit(commit)

    def busy(self) -> bool:
        """Whether a commit runs."""
        running = self._running
        return running is not None and not running.done()

    def failure(self) -> BaseException | None:
        """What the last commit raised, if it has ended so."""
        running = self._running
        return running.exception() if running and running.done() else None

    def close(self) -> None:
        """Wait for the commit that runs; it takes no other. If it fails, that is logged: what it held is read again."""
        ran_on = self.busy()
        self._pool.shutdown()
        self._beside.shutdown()
        if ran_on and (failed := self.failure()):
            logger().warning("not committed", reason=str(failed))
