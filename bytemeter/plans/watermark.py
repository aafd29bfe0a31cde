"""The watermark of a feed: how far it has come in event time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PartitionProgress:
    """How far a partition of a feed has come.

    Attributes:
        idle: whether it was read to its end for a set time.
        latest: the latest event time counted; None before the first record.
    """

    idle: bool
    latest: dt.datetime | None


def watermark(partitions: Iterable[PartitionProgress], *, clock: dt.datetime | None) -> dt.datetime | None:
    """The least of the latest event times over the partitions that are not idle; None if one has none yet.

    Where all are idle it is the clock, and without a clock the latest event time of all.
    """
    all_partitions = list(partitions)
    busy = [partition.latest for partition in all_partitions if not partition.idle]
    if busy:
        known = [latest for latest in busy if latest is not None]
        return min(known) if len(known) == len(busy) else None
    return clock or max((partition.latest for partition in all_partitions if partition.latest), default=None)
