"""Lets a live query go on when no records come: from time to time it is told how far its feeds have come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bytemeter.kafka import Kafka
from speed_layer.engine.live_store import LiveStore


@dataclass
class ProgressWatch:
    """Compares what is counted with the broker's ends, notes those, and settles what follows.

    Attributes:
        every_s: how often at most.
    """

    kafka: Kafka
    store: LiveStore
    every_s: float
    _last: float = field(default_factory=time.monotonic, init=False)
    _more: bool = field(default=False, init=False)

    def when_due(self) -> None:
        """Settle some of what follows, unless all was settled just before.

        What is left is for the next call: between two calls micro-batches are committed.

        Raises:
            TransientError: a server cannot be reached; then no partition is taken for idle.
        """
        if time.monotonic() - self._last >= self.every_s:
            self._look()
            self._last, self._more = time.monotonic(), True
        if self._more:
            self._more = self.store.report_progress()

    def now(self) -> None:
        """Settle all that follows."""
        self._look()
        while self.store.report_progress():
            pass

    def _look(self) -> None:
        # The broker's ends first: a partition is at its end only if all that was there then is counted.
        described = {feed: self.kafka.describe(topic.name) for feed, topic in self.store.topics.items()}
        ends = {feed: topic.latest for feed, topic in described.items() if topic is not None}
        counted = self.store.counted()
        for feed, latest in ends.items():
            self.store.idleness.seen(feed, counted[feed], latest)
        self.store.observe(ends)
