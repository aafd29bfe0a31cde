"""Lets a live query go on when no records come: from time to time it is told how far its feeds have come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bytemeter.kafka import Kafka
from speed_layer.live_store import LiveStore


@dataclass
class Settling:
    """Compares what is counted with the broker's ends, notes those, and settles what follows.

    Attributes:
        every_s: how often at most.
    """

    kafka: Kafka
    store: LiveStore
    every_s: float
    _last: float = field(default_factory=time.monotonic, init=False)

    def when_due(self) -> None:
        """Settle, unless that was done just before.

        Raises:
            TransientError: a server cannot be reached; then no partition is taken for idle.
        """
        if time.monotonic() - self._last >= self.every_s:
            self.now()
            self._last = time.monotonic()

    def now(self) -> None:
        """Settle."""
        # The broker's ends first: a partition is at its end only if all that was there then is counted.
        described = {feed: self.kafka.describe(topic.name) for feed, topic in self.store.topics.items()}
        ends = {feed: topic.latest for feed, topic in described.items() if topic is not None}
        counted = self.store.counted()
        for feed, latest in ends.items():
            self.store.idleness.seen(feed, counted[feed], latest)
        self.store.observe(ends)
        self.store.settle()
