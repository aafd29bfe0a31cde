"""Versions of an agreement: from when each of its messages holds, and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from bytemeter.plans.calendars import Calendar

DEFAULT_THRESHOLDS = (50, 80, 100)
# Stands for no end: what psycopg reads as a datetime.
FOREVER = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Agreement:
    """A message of an agreement: a data plan of an MSISDN, from ``service_start_at`` on.

    Attributes:
        limit: bytes included per billing period.
        thresholds: percents of the limit, ascending; 100 is always one.
        anchor_day: day of the month on which a billing period starts.
        service_end_at: from when on it owns no records any more, as long as this message holds; None if it was not
            cancelled.
        given_from: ``effectiveFrom`` of the message, from when on it holds; None if it has none.
        received_at: when Kafka received the message.
        partition, offset: of the message.
    """

    id: str
    msisdn: str
    signed_at: dt.datetime
    service_start_at: dt.datetime
    time_zone: str
    limit: int
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS
    anchor_day: int = 1
    service_end_at: dt.datetime | None = None
    given_from: dt.datetime | None = None
    received_at: dt.datetime = _LONG_AGO
    partition: int = 0
    offset: int = 0

    @property
    def calendar(self) -> Calendar:
        """The calendar of its billing periods."""
        return Calendar(self.time_zone, self.anchor_day)

    @property
    def received(self) -> tuple[dt.datetime, int, int]:
        """By which messages are ordered: the later one is the newer version, whatever its partition."""
        return (self.received_at, self.offset, self.partition)


@dataclass(frozen=True)
class Version:
    """A message in [effective_from, holds_until); in no time where another message has taken its place."""

    message: Agreement
    effective_from: dt.datetime
    holds_until: dt.datetime

    @property
    def holds(self) -> bool:
        """Whether there is a time in which it holds."""
        return self.effective_from < self.holds_until

    @property
    def serves_from(self) -> dt.datetime:
        """From when on it can own records."""
        return max(self.effective_from, self.message.service_start_at)

    @property
    def serves_until(self) -> dt.datetime:
        """Until when it can own records."""
        return min(self.holds_until, self.message.service_end_at or FOREVER)


def timeline(messages: Iterable[Agreement]) -> list[Version]:
    """The versions that the messages of one agreement make, in the order in which they came.

    - A message with ``effectiveFrom`` holds from then on.
    - The first message without it holds from ``serviceStartAt`` on, a later one from when Kafka received it.
    - While no version holds yet, the first message's place is taken by a later one without ``effectiveFrom``.
    - Each holds until the next version begins to. Of two that begin at the same instant the one that came later holds.
    """
    starts: list[tuple[dt.datetime, Agreement]] = []
    withdrawn: set[int] = set()
    for message in sorted(messages, key=lambda one: one.received):
        begun = any(start <= message.received_at for start, _ in starts)
        if not begun and message.given_from is None:
            withdrawn.update(n for n, (_, earlier) in enumerate(starts) if earlier.given_from is None)
        by_itself = message.received_at if begun else message.service_start_at
        starts.append((message.given_from or by_itself, message))
    in_order = sorted((start, n) for n, (start, _) in enumerate(starts) if n not in withdrawn)
    until = {n: following for (_, n), (following, _) in pairwise([*in_order, (FOREVER, len(starts))])}
    return [Version(message, start, until.get(n, start)) for n, (start, message) in enumerate(starts)]


def ownership(versions: Iterable[Version]) -> list[tuple[object, ...]]:
    """What versions of one agreement say of its ownership: two agreements own the same if these are equal.

    Returns:
        Rows of MSISDN, start, end, signing and calendar, with from when and until when they hold; neighbours are
        merged.
    """
    found: list[tuple[object, ...]] = []
    for version in sorted((one for one in versions if one.holds), key=lambda one: one.effective_from):
        message = version.message
        service = (message.service_start_at, message.service_end_at)
        said = (message.msisdn, *service, message.signed_at, message.calendar)
        if found and found[-1][:-2] == said and found[-1][-1] == version.effective_from:
            found[-1] = (*said, found[-1][-2], version.holds_until)
        else:
            found.append((*said, version.effective_from, version.holds_until))
    return found
