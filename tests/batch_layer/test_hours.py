"""Hours as users write them."""

from __future__ import annotations

import datetime as dt

import pytest

from batch_layer.hours import chosen_hours, hours_between, parse_hour
from bytemeter.errors import BytemeterError

TEN = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["2026-11-21T10", "2026-11-21T10:00", "2026-11-21T11:00+01:00"])
def test_an_hour_is_in_utc_unless_it_has_an_offset(text: str) -> None:
    assert parse_hour(text) == TEN


@pytest.mark.parametrize("text", ["2026-11-21T10:30", "10", "yesterday", "2026-11-21T10:30+00:30x"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(BytemeterError, match="is not the start of an hour; give e.g. 2026-11-21T10"):
        parse_hour(text)


def test_a_range_ends_before_its_end() -> None:
    assert hours_between(TEN, TEN + dt.timedelta(hours=2)) == [TEN, TEN + dt.timedelta(hours=1)]
    with pytest.raises(BytemeterError, match="no hour lies from .*; give a later --to"):
        hours_between(TEN, TEN)


def test_hours_are_chosen_one_by_one_as_a_range_or_not_at_all() -> None:
    assert chosen_hours(hour=None, since=None, until=None) is None
    assert chosen_hours(hour="2026-11-21T10", since=None, until=None) == [TEN]
    assert chosen_hours(hour=None, since="2026-11-21T10", until="2026-11-21T11") == [TEN]
