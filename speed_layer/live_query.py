"""What a live query is: how its feeds' messages are staged by Spark, and how one transaction counts what is staged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame
from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets

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


@dataclass(frozen=True)
class Position:
    """Where a partition of a feed stands.

    Attributes:
        idle: it has been read to its end for a while.
        latest: the latest event time counted.
    """

    idle: bool
    latest: dt.datetime | None


class LiveQuery(Protocol):
    """One or more feeds that are counted together, in one transaction per micro-batch.

    ``facts`` and ``add_up`` are Spark's part: the first is built once, on the stream, the second for each micro-batch.
    The other methods are PostgreSQL's part; all but the last two run inside the transaction.

    Attributes:
        name: of the streaming query, the advisory lock, and (with underscores) the schema of its staging.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The feeds, in the order in which their messages are unioned."""

    def facts(self, messages: Mapping[str, DataFrame]) -> DataFrame:
        """What is to be added up of the feeds' messages, given by the feed's name."""

    def add_up(self, found: DataFrame) -> DataFrame:
        """Rows of the staging table, less its attempt."""

    def open(self, connection: Connection) -> None:
        """Make the session's temporary tables."""

    def staged(self, connection: Connection, attempt: int) -> int:
        """How many rows are staged."""

    def count(self, connection: Connection, attempt: int) -> list[Account]:
        """Count what is staged, and tell what became of it."""

    def settle(self, connection: Connection, positions: Mapping[str, Mapping[int, Position]]) -> bool:
        """Do what follows from how far the feeds have come; whether there is more of it to do."""

    def rolled_back(self) -> None:
        """Forget what the transaction would have done."""

    def committed(self) -> None:
        """Do what may be seen only now that the transaction is committed."""
