"""Windows as a time zone has them: hours, days and months of its clock, as instants.

All of them begin at multiples of five minutes: since 1972 no zone has had an offset that is none. So sums of windows of
five minutes give each of them exactly.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bytemeter.plans.periods import first_instant

FIVE_MINUTES, HOUR, DAY = dt.timedelta(minutes=5), dt.timedelta(hours=1), dt.timedelta(days=1)
_DECEMBER = 12
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Span(NamedTuple):
    """[start, end), in UTC."""

    start: dt.datetime
    end: dt.datetime


def windows(unit: str, zone: ZoneInfo, since: dt.datetime, until: dt.datetime) -> Iterator[Span]:
    """The windows that start in [since, until), in order.

    Args:
        unit: a name of ``UNITS``.
        since, until: in UTC.
    """
    at_or_after = UNITS[unit]
    start = at_or_after(since, zone)
    while start < until:
        end = at_or_after(start + dt.timedelta(microseconds=1), zone)
        yield Span(start, end)
        start = end


def _five_minutes(at: dt.datetime, _: ZoneInfo) -> dt.datetime:
    return _EPOCH - (_EPOCH - at) // FIVE_MINUTES * FIVE_MINUTES


def _hour(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The next instant at which the zone's clock shows a full hour, or is moved."""
    at = _five_minutes(at, zone)
    before = _offset(at - FIVE_MINUTES, zone)
    full = at + (_EPOCH - at - before) % HOUR
    if _offset(full, zone) == before:
        return full
    # It is moved until then, by Lord Howe Island for half an hour.
    while _offset(at, zone) == before:
        at += FIVE_MINUTES
    return at


def _day(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return _first_of(at.astimezone(zone).date(), lambda day: day + DAY, at, zone)


def _month(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return _first_of(at.astimezone(zone).date().replace(day=1), _next_month, at, zone)


def _first_of(day: dt.date, following: Callable[[dt.date], dt.date], at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The first start at or after an instant, of this local day and those that follow."""
    while (start := first_instant(day, zone)) < at:
        day = following(day)
    return start


def _next_month(day: dt.date) -> dt.date:
    return dt.date(day.year + day.month // _DECEMBER, day.month % _DECEMBER + 1, 1)


def _offset(at: dt.datetime, zone: ZoneInfo) -> dt.timedelta:
    return at.astimezone(zone).utcoffset() or dt.timedelta()


# By name: the first start at or after an instant.
UNITS: dict[str, Callable[[dt.datetime, ZoneInfo], dt.datetime]] = {
    "5m": _five_minutes,
    "1h": _hour,
    "1d": _day,
    "1mo": _month,
}
