"""Months as users write them."""

from __future__ import annotations

import datetime as dt

import pytest

from batch_layer.months import Month, parse_month
from bytemeter.errors import BytemeterError


def test_a_month_has_a_start_and_an_end() -> None:
    assert parse_month("2026-11") == Month(2026, 11)
    assert Month(2026, 11).start == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert Month(2026, 12).end == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    assert str(Month(2026, 3)) == "2026-03"


@pytest.mark.parametrize("text", ["2026", "2026-13", "11-2026", "November", "2026-11-01"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(BytemeterError, match=rf"'{text}' is not a month; give e\.g\. 2026-11"):
        parse_month(text)
