"""Knows which partitions are idle, so that they do not hold back the watermark."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bytemeter.offset_log import Offsets

# Feed and partition.
Partition = tuple[str, int]


@dataclass
class IdlePartitions:
    """Remembers since when each partition has been read to its end.

    Attributes:
        after_s: how long a partition must have been at its end to be idle.
        clock: monotonic time in seconds.
    """

    after_s: float
    clock: Callable[[], float] = time.monotonic
    _at_end_since: dict[Partition, float] = field(default_factory=dict)

    def observe(self, feed: str, next_offsets: Offsets, ends: Mapping[int, int]) -> None:
        """Compare what is counted with the broker's end offsets, by partition.

        Args:
            next_offsets: the next offset to count; a partition that is missing starts at 0.
            ends: the offset that the next message gets, read from the broker before ``next_offsets`` were read.
        """
        now = self.clock()
        for partition, end in ends.items():
            if next_offsets.get(partition, 0) >= end:
                self._at_end_since.setdefault((feed, partition), now)
            else:
                self._at_end_since.pop((feed, partition), None)

    def mark_active(self, partitions: Iterable[Partition]) -> None:
        """Note that records of these partitions were counted: they are not idle."""
        for partition in partitions:
            self._at_end_since.pop(partition, None)

    def is_idle(self, feed: str, partition: int) -> bool:
        """Whether the partition has been at its end for ``after_s`` seconds."""
        since = self._at_end_since.get((feed, partition))
        return since is not None and self.clock() - since >= self.after_s
