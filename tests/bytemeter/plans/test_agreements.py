"""What messages change of stored agreements, and who owns a record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from bytemeter.plans.agreements import Agreement, Changes, agreement
from bytemeter.plans.agreements import take as write
from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from tests.builders import stored_agreement

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
AGREEMENT = stored_agreement(start=START)

Rows = Callable[..., list[tuple[Any, ...]]]


def test_100_percent_is_always_a_threshold() -> None:
    fields = {
        "id": "a", "msisdn": "48", "signed_us": 0, "start_us": 1, "zone": "UTC", "limit": 5, "thresholds": None,
        "anchor_day": None, "received_us": 7, "end_us": None, "effective_us": None, "partition": 0, "record_offset": 0,
    }  # fmt: skip
    assert agreement(fields).thresholds == (50, 80, 100)
    assert agreement({**fields, "thresholds": [90, 50, 90]}).thresholds == (50, 90, 100)
    assert agreement({**fields, "anchor_day": 31}).anchor_day == 31
    assert agreement(fields).service_start_at.microsecond == 1
    assert agreement(fields).given_from is None
    assert agreement({**fields, "effective_us": 5}).given_from == dt.datetime(1970, 1, 1, 0, 0, 0, 5, dt.UTC)


@pytest.mark.parametrize(
    ("changed", "msisdns"),
    [
        (AGREEMENT, set()),
        (replace(AGREEMENT, msisdn="49"), {"48", "49"}),
        (replace(AGREEMENT, time_zone="Asia/Tokyo"), {"48"}),
        (replace(AGREEMENT, anchor_day=2), {"48"}),
        (replace(AGREEMENT, service_start_at=START + DAY), {"48"}),
        (replace(AGREEMENT, service_end_at=START + 9 * DAY), {"48"}),
    ],
)
def test_msisdns_whose_records_may_have_another_owner(engine: Engine, changed: Agreement, msisdns: set[str]) -> None:
    with engine.begin() as connection:
        assert write(connection, [AGREEMENT]) == Changes(frozenset({"48"}), ())
        # Of several messages with one id the last is written.
        assert write(connection, [replace(AGREEMENT, limit=7), changed]) == Changes(frozenset(msisdns), ())


@pytest.mark.parametrize("changed", [replace(AGREEMENT, limit=2000), replace(AGREEMENT, thresholds=(100,))])
def test_open_periods_of_a_changed_limit_are_to_be_judged(engine: Engine, rows: Rows, changed: Agreement) -> None:
    with engine.begin() as connection:
        write(connection, [AGREEMENT])
        changes = write(connection, [changed])
    stored = rows("select usage_id, next_threshold_bytes from data_plan_usage")
    assert changes == Changes(frozenset(), tuple(usage_id for usage_id, _ in stored))
    assert [next_bytes for _, next_bytes in stored] == [1000]


def test_an_agreement_serves_until_the_next_one_starts(engine: Engine, rows: Rows) -> None:
    later = replace(AGREEMENT, id="b", service_start_at=START + 10 * DAY)
    tied = replace(later, id="c", signed_at=later.signed_at + DAY)
    with engine.begin() as connection:
        write(connection, [later, tied, AGREEMENT])
        ensure_periods(connection, {Calendar("UTC", 1): Years(2020, 2020)})
    owned = (
        "select agreement_id, served_from, served_until from plan_ownership where year = 2020 and month = 1 order by 2"
    )
    assert rows(owned) == [("a", START, START + 10 * DAY), ("c", START + 10 * DAY, START + 31 * DAY)]


def test_after_its_end_an_agreement_owns_nothing_and_no_further_period_of_it_is_opened(
    engine: Engine, rows: Rows
) -> None:
    """Another agreement of the number that still serves owns it again."""
    later = replace(AGREEMENT, id="b", service_start_at=START + 10 * DAY, service_end_at=START + 20 * DAY)
    with engine.begin() as connection:
        write(connection, [AGREEMENT, later])
        ensure_periods(connection, {Calendar("UTC", 1): Years(2020, 2020)})
    owned = "select agreement_id, served_until from plan_ownership where year = 2020 and month = 1 order by 2"
    assert rows(owned) == [("a", START + 10 * DAY), ("b", START + 20 * DAY), ("a", START + 31 * DAY)]
    assert rows("select distinct agreement_id from data_plan_usage") == [("a",)]
    assert rows("select service_end_at from agreements order by id") == [(None,), (START + 20 * DAY,)]


def test_calendars_grow_by_whole_years(engine: Engine, rows: Rows) -> None:
    spans = "select extract(year from min(period_start)), extract(year from max(period_start)), count(*) from billing_periods"
    with engine.begin() as connection:
        ensure_periods(connection, {Calendar("UTC", 1): Years(2020, 2020)})
    assert rows(spans) == [(2019, 2021, 36)]
    with engine.begin() as connection:
        ensure_periods(connection, {Calendar("UTC", 1): Years(2024, 2024)})
    assert rows(spans) == [(2019, 2025, 84)]
