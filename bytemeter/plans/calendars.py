"""Keeps the billing periods of the calendars in use in PostgreSQL, for the years that are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bytemeter.plans.periods import periods
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

    Key: (time zone, anchor day, start). Periods that are stored stay as they are.
    """
    stored = {
        Calendar(row.time_zone, row.anchor_day): Years(row.first_year, row.last_year)
        for row in connection.execute(SQL["stored_calendars"])
    }
    for calendar, years in sorted(needed.items(), key=str):
        wanted = Years(years.first - 1, years.last + 1)
        known = stored.get(calendar, wanted)
        if calendar not in stored or known | wanted != known:
            _store(connection, calendar, known | wanted)


def _store(connection: Connection, calendar: Calendar, years: Years) -> None:
    zone = ZoneInfo(calendar.time_zone)
    stored = list(periods(zone, calendar.anchor_day, first_year=years.first, last_year=years.last))
    columns = {
        "starts": [period.start for period in stored],
        "ends": [period.end for period in stored],
        "years": [period.year for period in stored],
        "months": [period.month for period in stored],
    }
    key = {"zone": calendar.time_zone, "day": calendar.anchor_day}
    connection.execute(SQL["store_periods"], {**key, **columns})
    connection.execute(SQL["store_calendar"], {**key, "first": years.first, "last": years.last})
