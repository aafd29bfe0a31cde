"""Lets a live query make progress while no records arrive: its feeds' progress is checked from time to time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bytemeter.kafka import Kafka
from speed_layer.engine.live_store import LiveStore


@dataclass
class ProgressWatch:
    """Compares the ledger with the broker's end offsets, stores these, and reports the progress to the query.

    Partitions become idle here, so that for example billing periods close although no records arrive.

    Attributes:
        every_s: the least time between two comparisons.
    """

    kafka: Kafka
    store: LiveStore
    every_s: float
    _compared_at: float = field(default_factory=time.monotonic, init=False)
    _work_left: bool = field(default=False, init=False)

    def check_if_due(self) -> None:
        """Let the query do one transaction of work, if a comparison is due or the last transaction left work.

        One at a time, so that micro-batches are committed between two calls.

        Raises:
            TransientError: a server cannot be reached. No partition becomes idle then.
        """
        if time.monotonic() - self._compared_at >= self.every_s:
            self._compare()
            self._compared_at, self._work_left = time.monotonic(), True
        if self._work_left:
            self._work_left = self.store.report_progress()

    def check_until_done(self) -> None:
        """Compare now, and let the query do all its work.

        Raises:
            TransientError: see ``check_if_due``.
        """
        self._compare()
        while self.store.report_progress():
            pass

    def _compare(self) -> None:
        # Before the ledger is read: a partition is at its end only if all messages up to this end are counted.
        topics = {feed: self.kafka.describe(topic.name) for feed, topic in self.store.topics.items()}
        ends = {feed: topic.latest for feed, topic in topics.items() if topic is not None}
        next_offsets = self.store.next_offsets()
        for feed, latest in ends.items():
            self.store.idle_partitions.observe(feed, next_offsets[feed], latest)
        self.store.record_topic_ends(ends)
