"""The horizon follows the slowest partition, is moved by no single wrong event time, and never moves back."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from bytemeter.feeds import DEVICES
from speed_layer.dedup.horizon import Horizon
from tests.identities import FIRST_HOUR, Record, horizon, move_ledger

A_DAY = 24


def hour_after(engine: Engine, *records: Record, hours: float = 10) -> int | None:
    """The horizon, in hours since ``FIRST_HOUR``, after these records were counted."""
    with engine.begin() as connection:
        move_ledger(connection, records)
        hour = horizon(hours).hour(connection)
    return None if hour is None else hour - FIRST_HOUR


def test_there_is_no_horizon_before_a_record_was_counted(engine: Engine) -> None:
    assert hour_after(engine) is None


def test_it_lies_behind_the_slowest_partition(engine: Engine) -> None:
    assert hour_after(engine, Record(0, 100, partition=0), Record(0, 95, partition=1)) == 85
    assert hour_after(engine, Record(0, 99, partition=1)) == 89


@pytest.mark.parametrize(("hours", "expected"), [(0, 100), (0.5, 99), (1, 99), (1.5, 98)])
def test_only_whole_hours_are_behind_it(engine: Engine, hours: float, expected: int) -> None:
    assert hour_after(engine, Record(0, 100), hours=hours) == expected


def test_one_partition_with_a_wrong_future_event_time_does_not_move_it(engine: Engine) -> None:
    slow = [Record(0, 100, partition=1), Record(0, 100, partition=2)]
    assert hour_after(engine, Record(0, 100, partition=0), *slow) == 90
    assert hour_after(engine, Record(0, 100 + A_DAY, partition=0)) == 90


def test_a_partition_without_records_for_more_than_a_day_does_not_hold_it_back(engine: Engine) -> None:
    assert hour_after(engine, Record(0, 0, partition=0), Record(0, A_DAY, partition=1)) == -10
    assert hour_after(engine, Record(0, 100, partition=1)) == 100 - A_DAY - 10


def test_it_never_moves_back(engine: Engine) -> None:
    assert hour_after(engine, Record(0, 100)) == 90
    assert hour_after(engine, hours=48) == 90  # a longer setting
    assert hour_after(engine, Record(0, 80, partition=7)) == 90  # a new partition behind the others
    assert hour_after(engine, Record(0, 103, partition=0), Record(0, 103, partition=7)) == 93


def test_a_transaction_that_is_rolled_back_does_not_move_it(engine: Engine) -> None:
    assert hour_after(engine, Record(0, 100)) == 90
    with engine.connect() as connection, connection.begin() as transaction:
        move_ledger(connection, [Record(0, 120)])
        assert horizon().hour(connection) == FIRST_HOUR + 110
        transaction.rollback()
    assert hour_after(engine) == 90


def test_a_feed_has_its_own_horizon_or_that_of_the_setting() -> None:
    default = dt.timedelta(hours=48)
    assert Horizon.of(DEVICES, default) == Horizon("devices", 172_800, 86_400)
    assert Horizon.of(replace(DEVICES, horizon_s=60), default).behind_s == 60
    assert Horizon.of(replace(DEVICES, clock_tolerance_s=None), default).lag_s == 86_400
    assert Horizon.of(replace(DEVICES, clock_tolerance_s=100_000), default).lag_s == 100_000


def test_eras_are_parts_of_the_time_within_the_horizon() -> None:
    assert [horizon(48).era(hour) for hour in (None, 99, 100, 101, 102)] == [-1, 99, 99, 99, 102]
    assert [horizon(1).era(hour) for hour in (99, 100)] == [99, 100]
