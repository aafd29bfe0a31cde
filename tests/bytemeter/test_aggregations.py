"""Records into totals."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from bytemeter.aggregations import WindowStarts, month_starts, summed, totals, windows
from bytemeter.feeds import DEVICES

# The last microsecond of a second.
LAST = 999_999


def records(*rows: tuple[str, str, str, int, int]) -> pa.Table:
    """Records of antenna, app, user, bytes and instant."""
    names = ("antenna_id", "app", "id", "bytes", "event_us")
    return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))


FOUR = records(
    ("a1", "SKYPE", "u1", 100, 299_000_000 + LAST),
    ("a1", "SKYPE", "u2", 20, 300_000_000),
    ("a2", "MAPS", "u1", 3, 599_000_000 + LAST),
    ("a1", "MAPS", "u1", 0, 600_000_000),
)


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (
            windows(300),
            {
                ("antenna_bytes_total", "a1", 0, 100),
                ("antenna_bytes_total", "a1", 300, 20),
                ("antenna_bytes_total", "a2", 300, 3),
                ("antenna_bytes_total", "a1", 600, 0),
                ("app_bytes_total", "SKYPE", 0, 100),
                ("app_bytes_total", "SKYPE", 300, 20),
                ("app_bytes_total", "MAPS", 300, 3),
                ("app_bytes_total", "MAPS", 600, 0),
                ("user_bytes_total", "u1", 0, 100),
                ("user_bytes_total", "u2", 300, 20),
                ("user_bytes_total", "u1", 300, 3),
                ("user_bytes_total", "u1", 600, 0),
            },
        ),
        (
            windows(3600),
            {
                ("antenna_bytes_total", "a1", 0, 120),
                ("antenna_bytes_total", "a2", 0, 3),
                ("app_bytes_total", "SKYPE", 0, 120),
                ("app_bytes_total", "MAPS", 0, 3),
                ("user_bytes_total", "u1", 0, 103),
                ("user_bytes_total", "u2", 0, 20),
            },
        ),
    ],
)
def test_bytes_are_added_up_per_dimension_and_window(starts: WindowStarts, expected: set[tuple[object, ...]]) -> None:
    once = totals(DEVICES, FOUR, starts)
    assert once.num_rows == len(expected)
    assert {tuple(row.values()) for row in once.to_pylist()} == expected
    twice = summed(pa.concat_tables([once, once]))
    assert {tuple(row.values()) for row in twice.to_pylist()} == {(*key, 2 * value) for *key, value in expected}


@pytest.mark.parametrize(("year", "month"), [(2024, 2), (2026, 12), (2199, 12)])
def test_months_are_those_of_utc(year: int, month: int) -> None:
    start = int(dt.datetime(year, month, 1, tzinfo=dt.UTC).timestamp())
    after = int(dt.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=dt.UTC).timestamp())
    instants = pa.chunked_array([[start * 1_000_000, after * 1_000_000 - 1, after * 1_000_000]])
    assert month_starts(instants).to_pylist() == [start, start, after]
