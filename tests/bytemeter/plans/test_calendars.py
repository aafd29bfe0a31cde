"""Stored boundaries of billing periods stay, whatever becomes of the time zone data; PostgreSQL refuses overlaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from bytemeter.plans.calendars import Calendar, Years, ensure_periods

Rows = Callable[..., list[tuple[Any, ...]]]

WARSAW = Calendar("Europe/Warsaw", 1)
STORED = "select period_start, period_end, year, month from billing_periods order by period_start"
GAPS = """
select count(*) from (
    select period_end, lead(period_start) over (order by period_start) as next_start from billing_periods
) as p where next_start <> period_end
"""


def zone_of_next_release(_: str) -> ZoneInfo:
    """Time zone data in which Warsaw has the offset of Kyiv, an hour further east."""
    return ZoneInfo("Europe/Kyiv")


@pytest.mark.parametrize("years", [Years(2024, 2024), Years(2016, 2016)], ids=["later", "earlier"])
def test_other_time_zone_data_leave_stored_periods_and_continue_them_without_a_gap(
    engine: Engine, rows: Rows, monkeypatch: pytest.MonkeyPatch, years: Years
) -> None:
    with engine.begin() as connection:
        ensure_periods(connection, {WARSAW: Years(2020, 2020)})
    before = rows(STORED)
    monkeypatch.setattr("bytemeter.plans.calendars.ZoneInfo", zone_of_next_release)
    with engine.begin() as connection:
        ensure_periods(connection, {WARSAW: years})
    after = rows(STORED)
    assert set(before) < set(after)
    assert (rows(GAPS), len(after)) == ([(0,)], 12 * 7)
    # A year further on the new data hold.
    starts = {(year, month): start for start, _, year, month in after}
    assert starts[(years.first, 7)].astimezone(ZoneInfo("Europe/Kyiv")).hour == 0


def test_postgresql_refuses_periods_that_overlap(engine: Engine) -> None:
    with engine.begin() as connection:
        ensure_periods(connection, {WARSAW: Years(2020, 2020), Calendar("Europe/Kyiv", 1): Years(2020, 2020)})
    overlapping = text(
        "insert into billing_periods values ('Europe/Warsaw', 1, '2020-01-31T22:00Z', '2020-02-29T22:00Z', 2020, 2)"
    )
    with pytest.raises(IntegrityError, match="billing_periods_do_not_overlap"), engine.begin() as connection:
        connection.execute(overlapping)
