"""Periods that are over close a few at a time, the earliest first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from bytemeter.plans.agreements import Agreement
from bytemeter.plans.agreements import replace as write
from bytemeter.plans.judging import close

# Not yet arrived at: the first period is that of the start.
START = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
END_OF_LAST = dt.datetime(2100, 2, 3, tzinfo=dt.UTC)
ONE = Agreement("a", "48", START, START, "UTC", 1000)


def from_day(id_: str, msisdn: str, day: int) -> Agreement:
    """Its first period ends on this day of February."""
    return replace(ONE, id=id_, msisdn=msisdn, anchor_day=day, service_start_at=START + dt.timedelta(days=day - 1))


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [["a"], [], ["b"], ["c"], []]), (2, [["a"], ["b", "c"], []]), (5, [["a", "b", "c"]])],
)
def test_dropped_periods_do_not_end_the_closing(
    engine: Engine, rows: Callable[..., list[tuple[Any, ...]]], most: int, expected: list[list[str]]
) -> None:
    closed = []
    with engine.begin() as connection:
        write(connection, [ONE, from_day("b", "49", 2), from_day("c", "50", 3)])
        # Of its two first periods, of Tokyo and of UTC, the second one is dropped.
        write(connection, [replace(ONE, time_zone="Asia/Tokyo")])
        more = True
        while more:
            call = close(connection, END_OF_LAST, most=most)
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
        write(connection, [ONE, from_day("b", "49", 2), from_day("c", "50", 3)])
        assert not close(connection, END_OF_LAST, most=5, of_month=(2099, 12)).events
        until = dt.datetime(2100, 2, 1, 23, tzinfo=dt.UTC)
        closed = close(connection, until, most=5, of_month=(2100, 1))
    assert [event.agreement_id for event in closed.events] == ["a"]
