"""Threshold events as the API shows them, in the order of their positions.

A position is given to an event after its transaction is committed, by one transaction at a time
(``sql/migrations/0034_event_positions.sql``). So who has seen a position has seen all lower ones, whichever
transactions were slow to commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans.events import AMENDED, CLOSED, CORRECTED, EXCEEDED, REACHED
from bytemeter.sql import Statements
from serving.api.reading import Reading
from serving.api.totals import moment

SQL = Statements(__package__, "events.sql")
TYPES = (REACHED, EXCEEDED, CORRECTED, CLOSED, AMENDED)


@dataclass(frozen=True)
class Filter:
    """Which events: all that match each value that is not None.

    Attributes:
        emitted_from, emitted_to: emitted in [from, to).
    """

    msisdn: str | None = None
    agreement: str | None = None
    type: str | None = None
    emitted_from: datetime | None = None
    emitted_to: datetime | None = None

    def matches(self, event: Event) -> bool:
        """Whether an event is one of these."""
        return (
            self.msisdn in (None, event.msisdn)
            and self.agreement in (None, event.agreement_id)
            and self.type in (None, event.type)
        )


@dataclass(frozen=True)
class Event:
    """One event; its payload is the message on Kafka."""

    position: int
    event_id: str
    agreement_id: str
    msisdn: str
    type: str
    emitted_at: datetime
    source: str
    payload: bytes

    @cached_property
    def json(self) -> bytes:
        """The event as the API shows it, in one line."""
        shown = {
            "position": self.position,
            "msisdn": self.msisdn,
            "emitted_at": self.emitted_at,
            "source": self.source,
            "event": msgspec.Raw(self.payload),
        }
        return msgspec.json.encode(shown)

    def as_message(self) -> bytes:
        """The event as a server-sent event, encoded once for all clients."""
        return self._message

    @cached_property
    def _message(self) -> bytes:
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.position, self.type.encode(), self.json)


class EventPage(NamedTuple):
    """Events of one snapshot, and the position behind which the next page begins; None after the last one."""

    as_of: datetime | None
    events: list[Event]
    next: int | None


def read_events(
    reading: Connection | Reading, which: Filter, *, after: int, most: int, until: int | None = None
) -> list[Event]:
    """The first events behind a position, up to another one."""
    values: dict[str, Any] = {
        "msisdn": which.msisdn,
        "agreement": which.agreement,
        "type": which.type,
        "emitted_from": which.emitted_from,
        "emitted_to": which.emitted_to,
        "after": after,
        "until": until,
        "most": most,
    }
    rows = reading.execute(SQL["events_behind"], values)
    return [
        Event(**{**row, "event_id": str(row["event_id"]), "payload": bytes(row["payload"])}) for row in rows.mappings()
    ]


def event_page(which: Filter, after: int, limit: int) -> Callable[[Reading], EventPage]:
    """The question for a snapshot."""

    def question(reading: Reading) -> EventPage:
        reading.several()
        now = moment(reading, DATA_RECORDS.name)
        found = read_events(reading, which, after=after, most=limit + 1)
        more = found[limit - 1].position if len(found) > limit else None
        return EventPage(now.counted_at, found[:limit], more)

    return question


def last_position(reading: Connection | Reading) -> int:
    """The highest position."""
    return int(reading.scalars(SQL["last_position"]).one())
