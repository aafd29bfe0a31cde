"""Windows of a zone: held against a walk along its clock, minute by minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from serving.api.zoned import Span, windows
from tests.builders import utc

MINUTE = dt.timedelta(minutes=1)
# A stretch in which something happens to the zone's clock.
STRETCHES = [
    ("UTC", "2026-02-27", "2026-03-03"),
    ("Asia/Kolkata", "2026-01-30", "2026-02-02"),
    ("Asia/Kathmandu", "2026-01-30", "2026-02-02"),
    ("Europe/Warsaw", "2026-03-27", "2026-04-02"),
    ("Europe/Warsaw", "2026-10-24", "2026-11-02"),
    ("Australia/Lord_Howe", "2026-04-03", "2026-04-07"),
    ("Australia/Lord_Howe", "2026-10-02", "2026-10-06"),
    ("America/Havana", "2026-10-30", "2026-11-03"),
    ("Africa/Cairo", "2026-04-23", "2026-04-26"),
    ("Pacific/Apia", "2011-12-28", "2012-01-03"),
]


def walked(unit: str, zone: ZoneInfo, since: dt.datetime, until: dt.datetime) -> Iterator[dt.datetime]:
    """The starts of windows: each minute is asked whether one begins with it."""
    at, days = since, {(since - MINUTE).astimezone(zone).date()}
    while at < until:
        local, before = at.astimezone(zone), (at - MINUTE).astimezone(zone)
        if unit == "5m":
            begins = at.minute % 5 == 0
        elif unit == "1h":
            begins = local.minute == 0 or local.utcoffset() != before.utcoffset()
        else:
            # A day begins once, also where its first hour comes twice.
            begins = local.date() not in days and (
                unit == "1d" or (local.year, local.month) != (before.year, before.month)
            )
        days.add(local.date())
        if begins:
            yield at
        at += MINUTE


@pytest.mark.parametrize("unit", ["5m", "1h", "1d", "1mo"])
@pytest.mark.parametrize(("name", "first", "last"), STRETCHES)
def test_windows_begin_where_the_clock_of_the_zone_says(unit: str, name: str, first: str, last: str) -> None:
    since, until, zone = utc(first) + 7 * MINUTE, utc(last), ZoneInfo(name)
    found = list(windows(unit, zone, since, until))
    assert [window.start for window in found] == list(walked(unit, zone, since, until))


def test_windows_have_no_gaps_and_a_month_is_the_months_of_the_zone() -> None:
    found = list(windows("1mo", ZoneInfo("Europe/Warsaw"), utc("2026-09-30"), utc("2026-11-01")))
    assert found == [
        Span(utc("2026-09-30T22:00:00"), utc("2026-10-31T23:00:00")),
        Span(utc("2026-10-31T23:00:00"), utc("2026-11-30T23:00:00")),
    ]
    hours = list(windows("1h", ZoneInfo("Australia/Lord_Howe"), utc("2026-01-01"), utc("2026-12-31")))
    assert [one.end for one in hours[:-1]] == [one.start for one in hours[1:]]
