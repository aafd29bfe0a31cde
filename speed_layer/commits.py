"""Counts micro-batches in a thread of its own, in turn, while Spark reads the next one."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from bytemeter.logs import logger
from speed_layer.live_store import LiveStore, MicroBatch


@dataclass
class Commits:
    """The transactions of one live query: at most one runs, and one more micro-batch waits for it.

    Delivery: that of ``LiveStore.commit``. A failure is told to whoever comes next; nothing is counted after it, since
    the ledger then does not stand where the next micro-batch starts.
    """

    store: LiveStore
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "commits"), init=False, repr=False)
    _running: Future[None] | None = field(default=None, init=False, repr=False)

    def hand_over(self, batch: MicroBatch) -> None:
        """Wait until the micro-batch before is counted, and let this one be.

        Raises:
            Exception: what counting the one before raised.
        """
        if self._running:
            self._running.result()
        self._running = self._pool.submit(self._commit, batch)

    def busy(self) -> bool:
        """Whether a transaction runs."""
        return self._running is not None and not self._running.done()

    def failure(self) -> BaseException | None:
        """What the last transaction raised, if it has ended so."""
        return self._running.exception() if self._running and self._running.done() else None

    def close(self) -> None:
        """Wait for the transaction that runs; it takes no other."""
        self._pool.shutdown()

    def _commit(self, batch: MicroBatch) -> None:
        began = time.perf_counter()
        self.store.commit(batch)
        logger().info(
            "counted",
            query=self.store.query.name,
            offsets=batch.end,
            records=batch.records,
            commit_ms=round(1000 * (time.perf_counter() - began)),
        )
