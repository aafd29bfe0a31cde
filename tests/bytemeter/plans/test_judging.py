"""Thresholds are reached by one rule; periods that are over close a few at a time, the earliest first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from bytemeter.plans import outbox
from bytemeter.plans.agreements import Agreement
from bytemeter.plans.agreements import take as write
from bytemeter.plans.judging import amend, close_periods
from tests.builders import stored_agreement

# In the future: the first period is that of the start.
START = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
END_OF_LAST = dt.datetime(2100, 2, 3, tzinfo=dt.UTC)
AGREEMENT = stored_agreement(start=START)


Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.mark.parametrize(
    ("total", "expected"), [(None, 500), (0, 500), (499, 500), (500, 800), (799, 800), (999, 1000), (1000, None)]
)
def test_the_next_threshold_is_the_least_that_is_not_reached(
    rows: Rows, total: int | None, expected: int | None
) -> None:
    asked = "select next_threshold(array[50, 80, 100], 1000, :total)"
    assert rows(asked, total=total) == [(expected,)]


def test_a_limit_of_nothing_is_reached_by_a_total_of_nothing_but_not_without_a_record(rows: Rows) -> None:
    asked = "select next_threshold(array[100], 0, null), next_threshold(array[100], 0, 0)"
    assert rows(asked) == [(0, None)]


def test_a_threshold_in_bytes_is_rounded_up(rows: Rows) -> None:
    asked = "select percent, threshold_bytes from thresholds_in_bytes(array[33, 100, 150], 101)"
    assert rows(asked) == [(33, 34), (100, 101), (150, 152)]


def from_day(id_: str, msisdn: str, day: int) -> Agreement:
    """Its first period ends on this day of February."""
    return stored_agreement(id_, msisdn, start=START + dt.timedelta(days=day - 1), anchor_day=day)


def test_a_total_that_comes_back_to_what_was_told_is_told_again_with_another_id(engine: Engine, rows: Rows) -> None:
    told = []
    with engine.begin() as connection:
        write(connection, [AGREEMENT])
        (usage_id,) = connection.scalars(text("update data_plan_usage set status = 'closed' returning usage_id"))
        for total in (0, 400, 400, 0, 400):
            connection.execute(text("update data_plan_usage set total_recorded_bytes = :total"), {"total": total})
            told += outbox.write(connection, amend(connection, [usage_id]), source="live")
    assert [event.total_bytes for event in told] == [0, 400, 0, 400]
    assert rows("select count(*) from threshold_events") == [(4,)]


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [["a"], [], ["b"], ["c"], []]), (2, [["a"], ["b", "c"], []]), (5, [["a", "b", "c"]])],
)
def test_dropped_periods_do_not_end_the_closing(
    engine: Engine, rows: Rows, most: int, expected: list[list[str]]
) -> None:
    closed = []
    with engine.begin() as connection:
        write(connection, [AGREEMENT, from_day("b", "49", 2), from_day("c", "50", 3)])
        # Of its two first periods, of Tokyo and of UTC, the second one is dropped.
        write(connection, [replace(AGREEMENT, time_zone="Asia/Tokyo")])
        more = True
        while more:
            call = close_periods(connection, END_OF_LAST, most=most)
            closed.append([event.agreement_id for event in call.events])
            more = call.more
    assert closed == expected
    periods = rows("select agreement_id, month, status from data_plan_usage order by period_start, agreement_id")
    assert periods == [
        *(("a", 1, "closed"), ("b", 1, "closed"), ("c", 1, "closed")),
        *(("a", 2, "open"), ("b", 2, "open"), ("c", 2, "open")),
    ]


def test_only_periods_of_the_month_that_are_over(engine: Engine) -> None:
    with engine.begin() as connection:
        write(connection, [AGREEMENT, from_day("b", "49", 2), from_day("c", "50", 3)])
        assert not close_periods(connection, END_OF_LAST, most=5, of_month=(2099, 12)).events
        until = dt.datetime(2100, 2, 1, 23, tzinfo=dt.UTC)
        closed = close_periods(connection, until, most=5, of_month=(2100, 1))
    assert [event.agreement_id for event in closed.events] == ["a"]
