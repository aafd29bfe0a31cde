"""The interface between the engine and the live queries: what executors make of messages, how a transaction counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.plans.watermark import PartitionProgress
from speed_layer.executor.blocks import Parts, ToParts

# By feed name and partition.
FeedOffsets = Mapping[str, Offsets]


@dataclass(frozen=True)
class Account:
    """How many messages of one partition were received, and what became of them; the remaining ones were counted.

    Attributes:
        unmatched: negative where records that had waited were counted.
        latest_s: the latest event time of a valid record, epoch seconds.
        behind_horizon: records that were not deduplicated (see ``speed_layer.dedup.horizon``), of any of these kinds.
    """

    feed: str
    partition: int
    received: int = 0
    duplicate: int = 0
    invalid: int = 0
    unmatched: int = 0
    latest_s: int | None = None
    behind_horizon: int = 0


# Counts a micro-batch inside a transaction, and returns the accounts of its messages.
Count = Callable[[Connection], list[Account]]


class LiveQuery(Protocol):
    """One or more feeds that are counted together, in one PostgreSQL transaction per micro-batch.

    ``to_parts`` runs on Spark's executors. The other methods run on the driver: ``open``, ``load``, the ``Count`` that
    ``prepare`` returns, and ``on_progress`` inside a transaction; ``prepare`` in another thread, without one.
    """

    @property
    def name(self) -> str:
        """The name of the streaming query."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The feeds that are counted together."""

    def to_parts(self, feed: Feed) -> ToParts:
        """The function that makes parts of messages of this feed.

        The parts include ``received`` and ``invalid`` (see ``speed_layer.executor.accounts.account_parts``).
        """

    def open(self, connection: Connection) -> None:
        """Prepare a new session, for example its temporary tables."""

    def load(self, connection: Connection) -> None:
        """Read the state that counting needs, such as event ids that were counted before.

        Called once, before the first micro-batch is counted.
        """

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        """Do the work on a micro-batch that does not depend on the transaction of the previous one, which still runs.

        It changes no state, and reads none that counting changes.

        Args:
            received: the parts of the micro-batch by feed name.
        """

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:
        """React to how far the feeds have come, for example close billing periods. Returns whether work is left.

        Args:
            progress: by feed name and partition.
        """

    def rolled_back(self) -> None:
        """Forget what the transaction prepared for its commit."""

    def committed(self) -> None:
        """Do what must follow the commit, for example publish events."""
