"""Keeps the billing periods of the calendars in use in PostgreSQL, for the years that are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, TextClause, text

from bytemeter.plans.periods import periods


@dataclass(frozen=True)
class Calendar:
    """What billing periods depend on."""

    time_zone: str
    anchor_day: int


@dataclass(frozen=True)
class Years:
    """From the first to the last one, both included."""

    first: int
    last: int

    def __or__(self, other: Years) -> Years:
        return Years(min(self.first, other.first), max(self.last, other.last))


def years_of(years: Iterable[tuple[Calendar, int]]) -> dict[Calendar, Years]:
    """Of years of calendars, from the first to the last one of each calendar."""
    found: dict[Calendar, Years] = {}
    for calendar, year in years:
        one = Years(year, year)
        found[calendar] = found.get(calendar, one) | one
    return found


def cover(connection: Connection, needed: Mapping[Calendar, Years]) -> None:
    """Have all billing periods of the years, and of one more on each side, in ``billing_periods``.

    Key: (time zone, anchor day, start); what is there is left as it is.
    """
    known = {
        Calendar(row.time_zone, row.anchor_day): Years(row.first_year, row.last_year)
        for row in connection.execute(_KNOWN)
    }
    for calendar, years in sorted(needed.items(), key=str):
        wanted = Years(years.first - 1, years.last + 1)
        covered = known.get(calendar)
        if covered is None or (covered | wanted) != covered:
            _write(connection, calendar, covered | wanted if covered else wanted)


def opening_periods(of: str) -> TextClause:
    """The statement that opens periods p of agreements a, given its ``from`` clause and what follows.

    Without a record no threshold is reached, not even one of 0 bytes.
    """
    return text(_OPEN + of)


_OPEN = """
insert into data_plan_usage (agreement_id, period_start, period_end, year, month, next_threshold_bytes)
select
    a.id, p.period_start, p.period_end, p.year, p.month,
    next_threshold(a.thresholds, a.max_bytes_in_billing_period, null)
"""

_KNOWN = text("select time_zone, anchor_day, first_year, last_year from billing_calendars")

_PERIODS = text("""
insert into billing_periods (time_zone, anchor_day, period_start, period_end, year, month)
select :time_zone, :anchor_day, p.*
from unnest(
    cast(:starts as timestamptz []), cast(:ends as timestamptz []), cast(:years as integer []),
    cast(:months as integer [])
) as p
on conflict do nothing
""")

_CALENDAR = text("""
insert into billing_calendars (time_zone, anchor_day, first_year, last_year)
values (:time_zone, :anchor_day, :first, :last)
on conflict (time_zone, anchor_day) do update set first_year = excluded.first_year, last_year = excluded.last_year
""")


def _write(connection: Connection, calendar: Calendar, years: Years) -> None:
    found = list(
        periods(ZoneInfo(calendar.time_zone), calendar.anchor_day, first_year=years.first, last_year=years.last)
    )
    key = {"time_zone": calendar.time_zone, "anchor_day": calendar.anchor_day}
    connection.execute(
        _PERIODS,
        {
            **key,
            "starts": [p.start for p in found],
            "ends": [p.end for p in found],
            "years": [p.year for p in found],
            "months": [p.month for p in found],
        },
    )
    connection.execute(_CALENDAR, {**key, "first": years.first, "last": years.last})
