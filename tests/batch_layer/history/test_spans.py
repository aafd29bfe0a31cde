"""Which hours a recompute reads."""

from __future__ import annotations

import datetime as dt

from batch_layer.history.spans import Span


def at(hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, 1, hour, minute, tzinfo=dt.UTC)


def test_the_hours_around_half_hours_are_whole() -> None:
    assert Span.around(at(3, 30), at(5, 30)) == Span(at(3), at(6))
    assert Span.around(at(3), at(5)) == Span(at(3), at(5))
