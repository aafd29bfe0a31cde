"""What PostgreSQL knows of failed messages that are sent again, in short transactions of their own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from bytemeter.errors import BytemeterError
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "notes.sql")
# partition, offset
Position = tuple[int, int]


@dataclass(frozen=True)
class Stretch:
    """A stretch of time, [since, until), in UTC."""

    since: dt.datetime
    until: dt.datetime


@dataclass(frozen=True)
class Notes:
    """The notes about a feed's failed messages."""

    engine: Engine
    feed: str

    def settle(self, number: int | None) -> None:
        """Note what was sent under the last number that Kafka has committed; release what was not sent."""
        with one_line_errors(self.engine.url), self.engine.begin() as connection:
            if number is not None:
                connection.execute(SQL["settle"], {"feed": self.feed, "number": number})
            connection.execute(SQL["release"], {"feed": self.feed})

    def intend(self, number: int, positions: Sequence[Position]) -> None:
        """Note that these messages are about to be sent under a number.

        Raises:
            BytemeterError: another replay is about to send one of these messages.
        """
        partitions, offsets = ([position[n] for position in positions] for n in (0, 1))
        values = {"feed": self.feed, "number": number, "partitions": partitions, "offsets": offsets}
        with one_line_errors(self.engine.url), self.engine.begin() as connection:
            if connection.execute(SQL["intend"], values).rowcount < len(positions):
                raise BytemeterError(f"another replay of {self.feed} has begun; run this one again when it has ended")

    def candidates(self, counted: Stretch) -> list[Position]:
        """Messages that failed in a stretch and were not sent again, in their order."""
        return [(partition, offset) for partition, offset in self._rows("candidates", counted)]

    def replayed(self, counted: Stretch) -> int:
        """How many messages that failed in a stretch were sent again."""
        return int(self._rows("replayed", counted)[0][0])

    def refused(self, happened: Stretch) -> int:
        """How many records of a stretch of event time are in the history and failed by the clock."""
        return int(self._rows("refused", happened)[0][0])

    def next_offsets(self) -> dict[int, int]:
        """By partition, up to which offset all records were judged live."""
        return dict(self._rows("next_offsets"))

    def _rows(self, name: str, stretch: Stretch | None = None) -> list[Any]:
        values = {"feed": self.feed} | ({"since": stretch.since, "until": stretch.until} if stretch else {})
        with one_line_errors(self.engine.url), self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(SQL[name], values)]
