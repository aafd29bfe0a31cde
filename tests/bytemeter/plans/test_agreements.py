"""What messages change of agreements, and who owns a record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from bytemeter.plans.agreements import Agreement, Changes, agreement
from bytemeter.plans.agreements import replace as write
from bytemeter.plans.calendars import Calendar, Years, cover

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ONE = Agreement("a", "48", START - DAY, START, "UTC", 1000)

Rows = Callable[..., list[tuple[Any, ...]]]


def test_100_percent_is_always_a_threshold() -> None:
    document = {
        "id": "a", "msisdn": "48", "signed_us": 0, "start_us": 1, "zone": "UTC", "limit": 5, "thresholds": None,
        "anchor_day": None,
    }  # fmt: skip
    assert agreement(document).thresholds == (50, 80, 100)
    assert agreement({**document, "thresholds": [90, 50, 90]}).thresholds == (50, 90, 100)
    assert agreement({**document, "anchor_day": 31}).anchor_day == 31
    assert agreement(document).service_start_at.microsecond == 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (ONE, Changes(frozenset(), [])),
        (replace(ONE, limit=2000), "limits"),
        (replace(ONE, thresholds=(100,)), "limits"),
        (replace(ONE, msisdn="49"), Changes(frozenset({"48", "49"}), [])),
        (replace(ONE, time_zone="Asia/Tokyo"), Changes(frozenset({"48"}), [])),
        (replace(ONE, anchor_day=2), Changes(frozenset({"48"}), [])),
        (replace(ONE, service_start_at=START + DAY), Changes(frozenset({"48"}), [])),
    ],
)
def test_what_a_later_message_changes(engine: Engine, changed: Agreement, expected: Any) -> None:
    with engine.begin() as connection:
        assert write(connection, [ONE]).msisdns == {"48"}
        changes = write(connection, [replace(ONE, limit=7), changed])
    if expected == "limits":
        assert (changes.msisdns, [id_ for id_, _ in changes.limits]) == (frozenset(), ["a"])
    else:
        assert changes == expected


def test_an_agreement_serves_until_the_next_one_starts(engine: Engine, rows: Rows) -> None:
    later = replace(ONE, id="b", service_start_at=START + 10 * DAY)
    tied = replace(later, id="c", signed_at=later.signed_at + DAY)
    with engine.begin() as connection:
        write(connection, [later, tied, ONE])
        cover(connection, {Calendar("UTC", 1): Years(2020, 2020)})
    owned = (
        "select agreement_id, served_from, served_until from plan_ownership where year = 2020 and month = 1 order by 2"
    )
    assert rows(owned) == [("a", START, START + 10 * DAY), ("c", START + 10 * DAY, START + 31 * DAY)]


def test_calendars_grow_by_whole_years(engine: Engine, rows: Rows) -> None:
    spans = "select extract(year from min(period_start)), extract(year from max(period_start)), count(*) from billing_periods"
    with engine.begin() as connection:
        cover(connection, {Calendar("UTC", 1): Years(2020, 2020)})
    assert rows(spans) == [(2019, 2021, 36)]
    with engine.begin() as connection:
        cover(connection, {Calendar("UTC", 1): Years(2024, 2024)})
    assert rows(spans) == [(2019, 2025, 84)]
