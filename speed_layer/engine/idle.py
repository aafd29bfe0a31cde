"""Which partitions have been read to their end for a while, and so do not hold back what waits for event time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bytemeter.offset_log import Offsets

Partition = tuple[str, int]


@dataclass
class IdlePartitions:
    """Remembers since when each partition (feed, number) was seen read to its end.

    Attributes:
        after_s: how long a partition must be at its end to be idle.
        clock: seconds, never going back.
    """

    after_s: float
    clock: Callable[[], float] = time.monotonic
    _since: dict[Partition, float] = field(default_factory=dict)

    def seen(self, feed: str, counted: Offsets, latest: Mapping[int, int]) -> None:
        """Note where the partitions stand: counted up to here, while the broker's end was there."""
        now = self.clock()
        for partition, end in latest.items():
            if counted.get(partition, 0) >= end:
                self._since.setdefault((feed, partition), now)
            else:
                self._since.pop((feed, partition), None)

    def moved(self, partitions: Iterable[Partition]) -> None:
        """Note that records of these partitions were counted."""
        for partition in partitions:
            self._since.pop(partition, None)

    def idle(self, feed: str, partition: int) -> bool:
        """Whether the partition has been at its end for long enough."""
        since = self._since.get((feed, partition))
        return since is not None and self.clock() - since >= self.after_s
