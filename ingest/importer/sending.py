"""Blocks of lines to Kafka by a thread that waits: transactions of about a second, each with its resume point."""

from __future__ import annotations

import queue
import threading
import time
from zlib import crc32

import numpy as np

from ingest.importer.blocks import Block
from ingest.importer.resume import ResumePoint
from ingest.importer.transactions import Transactions

# An open transaction holds up all readers of its partitions.
_TRANSACTION_S = 1.0
# Blocks that wait for the thread; some ten thousand lines each.
_MOST_BLOCKS = 2
_POLL_S = 0.1
_ANY = -1  # RD_KAFKA_PARTITION_UA


class Sender:
    """Sends the blocks of a content, exactly once.

    A transaction has the messages of some blocks and the resume point after them: Kafka has both or nothing. It is
    committed once it is a second old, also while the next block is still being read.
    """

    def __init__(self, transactions: Transactions, partitions: int, begun: ResumePoint) -> None:
        """Start the thread.

        Args:
            partitions: of the topic.
            begun: where the import goes on.
        """
        self._transactions, self._partitions = transactions, partitions
        self._blocks: queue.Queue[Block | None] = queue.Queue(_MOST_BLOCKS)
        self._point = self._committed = begun
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    @property
    def committed(self) -> ResumePoint:
        """The resume point of the last transaction that is committed."""
        return self._committed

    def send(self, block: Block | None) -> None:
        """Send a block, or None to commit what was sent; waits while others are on their way.

        Raises:
            BytemeterError: a transaction failed.
        """
        while True:
            self._require_success()
            try:
                self._blocks.put(block, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def finish(self) -> ResumePoint:
        """Wait until all blocks are committed; returns the resume point after them.

        Raises:
            BytemeterError: a transaction failed.
        """
        self.send(None)
        self._thread.join()
        self._require_success()
        return self._committed

    def close(self) -> None:
        """End the thread, e.g. after an error of the reader: blocks that were handed over are committed."""
        while self._thread.is_alive():
            try:
                self._blocks.put(None, timeout=_POLL_S)
            except queue.Full:
                continue
            self._thread.join(_POLL_S)

    def _require_success(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._send_all()
        except BaseException as error:
            # Raised in the thread that reads.
            self._error = error

    def _send_all(self) -> None:
        since: float | None = None
        while True:
            left_s = None if since is None else max(0.0, since + _TRANSACTION_S - time.monotonic())
            try:
                block = self._blocks.get(timeout=left_s)
            except queue.Empty:
                self._commit()
                since = None
                continue
            if block is None:
                break
            if since is None:
                self._transactions.begin()
                since = time.monotonic()
            self._produce(block)
        if since is not None:
            self._commit()

    def _commit(self) -> None:
        self._committed = self._point = self._transactions.commit(self._point)

    def _produce(self, block: Block) -> None:
        """Produce a block, by partitions: the same key always comes to the same one, as librdkafka chooses it."""
        keys = [_ANY if not key else crc32(key) % self._partitions for key in block.keys]
        partitions = np.array(keys, np.int64)
        for partition in np.unique(partitions).tolist():
            those = np.flatnonzero(partitions == partition).tolist()
            messages = [{"value": block.values[place], "key": block.keys[place]} for place in those]
            self._transactions.produce(messages, partition)
        self._point = self._point.plus(block.next_line, len(block.values), block.invalid, block.repeated)
