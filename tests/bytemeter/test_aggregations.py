"""Records into totals."""

from __future__ import annotations

import pyarrow as pa
import pytest

from bytemeter.aggregations import summed, totals
from bytemeter.feeds import DEVICES
from bytemeter.windows import FIVE_MINUTES, HOUR, Window

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
    ("window", "expected"),
    [
        (
            FIVE_MINUTES,
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
            HOUR,
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
def test_bytes_are_added_up_per_dimension_and_window(window: Window, expected: set[tuple[object, ...]]) -> None:
    once = totals(DEVICES, FOUR, window)
    assert once.num_rows == len(expected)
    assert {tuple(row.values()) for row in once.to_pylist()} == expected
    twice = summed(pa.concat_tables([once, once]))
    assert {tuple(row.values()) for row in twice.to_pylist()} == {(*key, 2 * value) for *key, value in expected}
