"""The window that an instant lies in."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.feeds import BILLABLE_EVENTS, DEVICES
from bytemeter.plans.periods import first_instant
from bytemeter.windows import BillingMonth, CalendarMonth, FixedWindow

ZONES = ["UTC", "Europe/Warsaw", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]


def starts(window: FixedWindow | CalendarMonth, *event_us: int) -> list[int]:
    found: list[int] = window.starts(pa.chunked_array([event_us], pa.int64())).to_pylist()
    return found


def test_a_fixed_window_starts_at_a_multiple_of_its_length() -> None:
    assert starts(FixedWindow(300), 0, 299_999_999, 300_000_000, 599_999_999) == [0, 0, 300, 300]


@pytest.mark.parametrize(("year", "month"), [(2024, 2), (2026, 12), (2199, 12)])
def test_months_of_utc(year: int, month: int) -> None:
    start = int(dt.datetime(year, month, 1, tzinfo=dt.UTC).timestamp())
    after = int(dt.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=dt.UTC).timestamp())
    instants = (start * 1_000_000, after * 1_000_000 - 1, after * 1_000_000)
    assert starts(CalendarMonth(), *instants) == [start, start, after]


@given(st.sampled_from(ZONES), st.lists(st.integers(946_684_800, 7_258_118_399), min_size=1))
def test_a_month_of_a_zone_starts_with_its_first_local_instant(zone: str, seconds: list[int]) -> None:
    expected = []
    for at_s in seconds:
        local = dt.datetime.fromtimestamp(at_s, ZoneInfo(zone))
        expected.append(int(first_instant(local.date().replace(day=1), ZoneInfo(zone)).timestamp()))
    assert starts(CalendarMonth(zone), *(at_s * 1_000_000 for at_s in seconds)) == expected


def test_no_instants_have_no_windows() -> None:
    assert starts(CalendarMonth("Europe/Warsaw")) == []


def test_a_month_of_a_zone_of_half_hours_has_its_own_bounds() -> None:
    start, end = CalendarMonth("Asia/Kolkata").bounds(2026, 12)
    assert (start.isoformat(), end.isoformat()) == ("2026-11-30T18:30:00+00:00", "2026-12-31T18:30:00+00:00")


def test_billing_months_need_the_zone_of_the_settings() -> None:
    with pytest.raises(ValueError, match="no zone"):
        starts(BillingMonth(), 0)
    in_zone = BILLABLE_EVENTS.in_zone("Asia/Kolkata").totals
    assert in_zone is not None
    assert in_zone.live.window == BillingMonth("Asia/Kolkata")
    assert DEVICES.in_zone("Asia/Kolkata") == DEVICES
