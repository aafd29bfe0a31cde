"""Billing periods: months of an agreement's own time zone, as instants."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MONTHS = 12
_SECOND = dt.timedelta(seconds=1)
# No zone has ever jumped further: Samoa left out one day, when it crossed the date line in 2011.
_LONGEST_JUMP = dt.timedelta(hours=26)


@dataclass(frozen=True, order=True)
class BillingPeriod:
    """[start, end) in UTC; ``year`` and ``month`` are those of the start's local date."""

    start: dt.datetime
    end: dt.datetime
    year: int
    month: int


def periods(zone: ZoneInfo, anchor_day: int, *, first_year: int, last_year: int) -> Iterator[BillingPeriod]:
    """The billing periods that start in the years given, in order and without gaps.

    Args:
        anchor_day: day of the month (1 to 31) on which a period starts; in a shorter month its last day.
    """
    year, month = first_year, 1
    start = _start(year, month, anchor_day, zone)
    while year <= last_year:
        next_year, next_month = year + month // _MONTHS, month % _MONTHS + 1
        end = _start(next_year, next_month, anchor_day, zone)
        yield BillingPeriod(start, end, year, month)
        year, month, start = next_year, next_month, end


def instant(us: int) -> dt.datetime:
    """The instant of so many microseconds since 1970, in UTC."""
    return _EPOCH + dt.timedelta(microseconds=us)


def first_instant(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The first instant of a local day, in UTC.

    A midnight that does not exist moves to the first instant after the gap; of one that comes twice the first counts.
    """
    midnight = dt.datetime.combine(day, dt.time())
    instant = midnight.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    if _local(instant, zone) == midnight:
        return instant
    before, after = instant - _LONGEST_JUMP, instant + _LONGEST_JUMP
    while after - before > _SECOND:
        middle = before + (after - before) // 2 // _SECOND * _SECOND
        if _local(middle, zone) < midnight:
            before = middle
        else:
            after = middle
    return after


def _start(year: int, month: int, anchor_day: int, zone: ZoneInfo) -> dt.datetime:
    last = calendar.monthrange(year, month)[1]
    return first_instant(dt.date(year, month, min(anchor_day, last)), zone)


def _local(instant: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)
