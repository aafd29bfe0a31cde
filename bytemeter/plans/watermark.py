"""How far a feed has come in event time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Protocol


class Position(Protocol):
    """Where a partition stands: whether it is read to its end for a while, and the latest event time counted."""

    @property
    def idle(self) -> bool:
        """See above."""

    @property
    def latest(self) -> dt.datetime | None:
        """See above."""


def watermark(partitions: Iterable[Position], *, clock: dt.datetime | None) -> dt.datetime | None:
    """The least of the latest event times over the partitions that are not idle; None if one has none yet.

    Where all are idle it is the clock, and without a clock the latest event time of all.
    """
    positions = list(partitions)
    busy = [position.latest for position in positions if not position.idle]
    if busy:
        known = [latest for latest in busy if latest is not None]
        return min(known) if len(known) == len(busy) else None
    return clock or max((position.latest for position in positions if position.latest), default=None)
