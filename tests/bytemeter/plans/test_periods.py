"""Billing periods tile the time line, in every time zone."""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemeter.plans.periods import BillingPeriod, first_instant, periods
from bytemeter.zones import zones

FIRST, LAST = 2000, 2040
ZONES = sorted(zones())
INSTANTS = st.integers(0, 40 * 365 * 86_400).map(
    lambda seconds: dt.datetime(FIRST, 2, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
)


@cache
def calendar(zone: str, anchor_day: int) -> list[BillingPeriod]:
    return list(periods(ZoneInfo(zone), anchor_day, first_year=FIRST, last_year=LAST))


def hours(zone: str, year: int, month: int, anchor_day: int = 1) -> float:
    (found,) = (p for p in calendar(zone, anchor_day) if (p.year, p.month) == (year, month))
    return (found.end - found.start) / dt.timedelta(hours=1)


def test_all_zones_are_known() -> None:
    assert len(ZONES) > 550


@pytest.mark.parametrize("anchor_day", [1, 15, 29, 30, 31])
def test_periods_tile_the_time_line_in_every_zone(anchor_day: int) -> None:
    for zone in ZONES:
        found = calendar(zone, anchor_day)
        assert [(p.year, p.month) for p in found] == [(y, m) for y in range(FIRST, LAST + 1) for m in range(1, 13)]
        assert all(one.end == other.start for one, other in itertools.pairwise(found)), zone
        assert all(p.start < p.end for p in found), zone


@settings(max_examples=1_000)
@given(instant=INSTANTS, zone=st.sampled_from(ZONES), anchor_day=st.integers(1, 31))
def test_every_instant_belongs_to_the_one_period_of_its_local_date(
    instant: dt.datetime, zone: str, anchor_day: int
) -> None:
    found = calendar(zone, anchor_day)
    holding = [p for p in found if p.start <= instant < p.end]
    assert len(holding) == 1
    assert holding[0] == found[bisect.bisect_right([p.start for p in found], instant) - 1]
    local = instant.astimezone(ZoneInfo(zone)).date()
    start = dt.date(holding[0].year, holding[0].month, 1)
    last = (start + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    # The local date is at or past the anchor day. (Where clocks go back over midnight a date comes twice.)
    assert local >= last.replace(day=min(anchor_day, last.day)) - dt.timedelta(days=1)
    if local < last.replace(day=min(anchor_day, last.day)):
        assert (instant - holding[0].start) < dt.timedelta(hours=2)


@settings(max_examples=1_000)
@given(day=st.dates(dt.date(FIRST, 1, 1), dt.date(LAST, 12, 31)), zone=st.sampled_from(ZONES))
def test_the_first_instant_of_a_day_is_its_midnight_or_the_end_of_the_gap(day: dt.date, zone: str) -> None:
    start = first_instant(day, ZoneInfo(zone))
    before = (start - dt.timedelta(seconds=1)).astimezone(ZoneInfo(zone))
    after = start.astimezone(ZoneInfo(zone))
    assert before.date() < day <= after.date()
    if after.time() != dt.time():
        assert before.utcoffset() != after.utcoffset()


def test_months_of_daylight_saving_time_have_743_and_745_hours() -> None:
    assert (hours("Europe/Warsaw", 2020, 3), hours("Europe/Warsaw", 2020, 10)) == (743, 745)
    assert hours("Europe/Warsaw", 2020, 2) == 29 * 24


def test_a_midnight_that_does_not_exist_moves_to_the_first_instant_of_its_day() -> None:
    # Clocks went from 23:59:59 -03 to 01:00 -02.
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    assert first_instant(dt.date(2018, 11, 4), sao_paulo) == dt.datetime(2018, 11, 4, 3, tzinfo=dt.UTC)
    assert hours("America/Sao_Paulo", 2018, 11) == 30 * 24 - 1
    # One period holds the whole day, whichever side of midnight it is asked for.
    (found,) = (p for p in calendar("America/Sao_Paulo", 4) if (p.year, p.month) == (2018, 11))
    assert found.start == dt.datetime(2018, 11, 4, 3, tzinfo=dt.UTC)


def test_of_a_midnight_that_comes_twice_the_first_counts() -> None:
    # Clocks went from 00:59:59 -04 back to 00:00 -05.
    havana = ZoneInfo("America/Havana")
    assert first_instant(dt.date(2020, 11, 1), havana) == dt.datetime(2020, 11, 1, 4, tzinfo=dt.UTC)
    assert hours("America/Havana", 2020, 11) == 30 * 24 + 1


def test_a_day_that_was_left_out_starts_where_the_next_one_does() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert first_instant(dt.date(2011, 12, 30), apia) == first_instant(dt.date(2011, 12, 31), apia)


def test_the_anchor_day_is_the_last_day_of_a_shorter_month() -> None:
    starts = [p.start for p in calendar("UTC", 31) if p.year == 2023][:4]
    assert [(s.month, s.day) for s in starts] == [(1, 31), (2, 28), (3, 31), (4, 30)]
