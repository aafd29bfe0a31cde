"""What a live query is: what is made of its feeds' messages, and how one transaction counts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.plans.watermark import PartitionProgress
from speed_layer.executor.blocks import Parts, ToParts

# Per feed and partition.
FeedOffsets = Mapping[str, Offsets]


@dataclass(frozen=True)
class Account:
    """What became of the messages of one partition; what is none of these was counted.

    Attributes:
        unmatched: negative where records that had waited were counted.
        latest_s: latest event time of a valid record, epoch seconds.
    """

    feed: str
    partition: int
    received: int = 0
    duplicate: int = 0
    invalid: int = 0
    unmatched: int = 0
    latest_s: int | None = None


# Counts a micro-batch, inside of a transaction, and tells what became of its messages.
Count = Callable[[Connection], list[Account]]


class LiveQuery(Protocol):
    """One or more feeds that are counted together, in one transaction per micro-batch.

    ``to_parts`` is Spark's part: to read and judge each message by itself, on all executors. The other methods are the
    driver's and PostgreSQL's part; all but ``prepare`` and the last two run inside the transaction.

    Attributes:
        name: of the streaming query and the advisory lock.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The feeds."""

    def to_parts(self, feed: Feed) -> ToParts:
        """What makes of messages of a feed all that is needed to count them; ``received`` tells how many they are."""

    def open(self, connection: Connection) -> None:
        """Prepare the session."""

    def load(self, connection: Connection) -> None:
        """Read what counting has to know of what was counted before; once, before the first micro-batch is counted."""

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        """Do what can be done of counting a micro-batch, given by feed, while the one before is still being counted.

        So it changes nothing, and reads nothing that counting changes.
        """

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:
        """Do what follows from how far the feeds have come; whether there is more of it to do."""

    def rolled_back(self) -> None:
        """Forget what the transaction would have done."""

    def committed(self) -> None:
        """Do what may be seen only now that the transaction is committed."""
