"""Keeps the billing periods of the calendars in use in PostgreSQL, for the years that are needed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bytemeter.plans.periods import BillingPeriod, periods
from bytemeter.sql import Statements

SQL = Statements(__package__, "calendars.sql")


@dataclass(frozen=True)
class Calendar:
    """What billing periods depend on."""

    time_zone: str
    anchor_day: int


@dataclass(frozen=True)
class Years:
    """The years from the first to the last one, both included."""

    first: int
    last: int

    def __or__(self, other: Years) -> Years:
        """The shortest stretch of years that contains both."""
        return Years(min(self.first, other.first), max(self.last, other.last))


def years_by_calendar(years: Iterable[tuple[Calendar, int]]) -> dict[Calendar, Years]:
    """Group years by calendar: from the first to the last year of each."""
    grouped: dict[Calendar, Years] = {}
    for calendar, year in years:
        one = Years(year, year)
        grouped[calendar] = grouped.get(calendar, one) | one
    return grouped


def ensure_periods(connection: Connection, needed: Mapping[Calendar, Years]) -> None:
    """Store all billing periods of the years, and of one more year on each side, in ``billing_periods``.

    Key: (time zone, anchor day, start). Periods that are stored stay as they are, also where the time zone data have
    changed since: later years begin where the stored ones end, earlier years end where they begin.
    """
    stored = {
        Calendar(row.time_zone, row.anchor_day): Stored(Years(row.first_year, row.last_year), row.start, row.end)
        for row in connection.execute(SQL["stored_calendars"])
    }
    for calendar, years in sorted(needed.items(), key=str):
        wanted = Years(years.first - 1, years.last + 1)
        known = stored.get(calendar)
        if known is None:
            _store(connection, calendar, wanted, list(_computed(calendar, wanted)))
        elif known.years | wanted != known.years:
            _store(connection, calendar, known.years | wanted, _continued(calendar, known, known.years | wanted))


@dataclass(frozen=True)
class Stored:
    """The billing periods of a calendar that are stored: of whole years, from ``start`` to ``end`` without a gap."""

    years: Years
    start: dt.datetime
    end: dt.datetime


def _computed(calendar: Calendar, years: Years) -> Iterator[BillingPeriod]:
    zone = ZoneInfo(calendar.time_zone)
    return periods(zone, calendar.anchor_day, first_year=years.first, last_year=years.last)


def _continued(calendar: Calendar, stored: Stored, years: Years) -> list[BillingPeriod]:
    """The periods of the years before and after the stored ones, which they meet exactly."""
    known = stored.years
    before = list(_computed(calendar, Years(years.first, known.first - 1)))
    after = list(_computed(calendar, Years(known.last + 1, years.last)))
    if before:
        before[-1] = replace(before[-1], end=stored.start)
    if after:
        after[0] = replace(after[0], start=stored.end)
    return [*before, *after]


def _store(connection: Connection, calendar: Calendar, years: Years, added: Sequence[BillingPeriod]) -> None:
    columns = {
        "starts": [period.start for period in added],
        "ends": [period.end for period in added],
        "years": [period.year for period in added],
        "months": [period.month for period in added],
    }
    key = {"zone": calendar.time_zone, "day": calendar.anchor_day}
    connection.execute(SQL["store_periods"], {**key, **columns})
    connection.execute(SQL["store_calendar"], {**key, "first": years.first, "last": years.last})
