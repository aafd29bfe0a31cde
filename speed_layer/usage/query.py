"""The live query of one feed's totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.feeds.feed import WINDOW_S
from bytemeter.parsing import parse
from speed_layer.live_query import Account, Position
from speed_layer.records import create_records, set_repeats_apart
from speed_layer.usage import merge
from speed_layer.usage.staging import add_up, facts


@dataclass(frozen=True)
class UsageQuery:
    """Totals of a feed's measure per dimension and window of five minutes, into the feed's live table."""

    feed: Feed

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.feed.name

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The one feed."""
        return (self.feed,)

    def facts(self, messages: Mapping[str, DataFrame]) -> DataFrame:
        """See ``speed_layer.usage.staging.facts``."""
        parsed = messages[self.feed.name].transform(parse(self.feed, judged_at=F.current_timestamp()))
        return parsed.transform(facts(self.feed))

    def add_up(self, found: DataFrame) -> DataFrame:
        """See ``speed_layer.usage.staging.add_up``."""
        return add_up(found)

    def open(self, connection: Connection) -> None:
        """Make the tables of records and repeats."""
        create_records(connection, "ids text[] not null")

    def staged(self, connection: Connection, attempt: int) -> int:
        """How many rows are staged."""
        return int(connection.scalars(merge.COUNT_STAGED, {"attempt": attempt}).one())

    def count(self, connection: Connection, attempt: int) -> list[Account]:
        """Add the totals, less what repeats had added; list invalid records, mark the hours as dirty."""
        of_batch = {"feed": self.feed.name, "attempt": attempt}
        repeats = 0
        if connection.execute(merge.TAKE_RECORDS, of_batch).rowcount:
            repeats = set_repeats_apart(connection, self.feed.name)
        types = [dimension.type for dimension in self.feed.usage.dimensions]
        less = {"types": types, "window_s": WINDOW_S} if repeats else {}
        connection.execute(
            merge.add_totals(self.feed.usage.live_table, repeats=bool(repeats)), {"attempt": attempt, **less}
        )
        connection.execute(merge.LIST_INVALID, of_batch)
        connection.execute(merge.MARK_HOURS, of_batch)
        accounts = connection.execute(merge.ACCOUNTS, of_batch).mappings()
        return [Account(self.feed.name, **account) for account in accounts]

    def settle(self, connection: Connection, positions: Mapping[str, Mapping[int, Position]]) -> bool:  # noqa: ARG002
        """Nothing follows from how far the feed has come."""
        return False

    def rolled_back(self) -> None:
        """Nothing is remembered."""

    def committed(self) -> None:
        """Nothing waits for the commit."""
