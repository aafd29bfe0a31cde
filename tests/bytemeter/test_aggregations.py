"""Records into totals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyspark.sql import Row

from bytemeter.aggregations import totals, window_start
from bytemeter.feeds import DEVICES

SCHEMA = "antenna_id string, app string, id string, bytes long, epoch_s long"
RECORDS = [
    ("a1", "SKYPE", "u1", 100, 299),
    ("a1", "SKYPE", "u2", 20, 300),
    ("a2", "MAPS", "u1", 3, 599),
    ("a1", "MAPS", "u1", 0, 600),
]


@pytest.mark.parametrize(
    ("window_s", "expected"),
    [
        (
            300,
            {
                ("antenna_bytes_total", "a1", 0, 100, 1),
                ("antenna_bytes_total", "a1", 300, 20, 1),
                ("antenna_bytes_total", "a2", 300, 3, 1),
                ("antenna_bytes_total", "a1", 600, 0, 1),
                ("app_bytes_total", "SKYPE", 0, 100, 1),
                ("app_bytes_total", "SKYPE", 300, 20, 1),
                ("app_bytes_total", "MAPS", 300, 3, 1),
                ("app_bytes_total", "MAPS", 600, 0, 1),
                ("user_bytes_total", "u1", 0, 100, 1),
                ("user_bytes_total", "u2", 300, 20, 1),
                ("user_bytes_total", "u1", 300, 3, 1),
                ("user_bytes_total", "u1", 600, 0, 1),
            },
        ),
        (
            3600,
            {
                ("antenna_bytes_total", "a1", 0, 120, 3),
                ("antenna_bytes_total", "a2", 0, 3, 1),
                ("app_bytes_total", "SKYPE", 0, 120, 2),
                ("app_bytes_total", "MAPS", 0, 3, 2),
                ("user_bytes_total", "u1", 0, 103, 3),
                ("user_bytes_total", "u2", 0, 20, 1),
            },
        ),
    ],
)
def test_bytes_are_added_up_per_dimension_and_window(
    batch: Callable[..., list[Row]], window_s: int, expected: set[tuple[object, ...]]
) -> None:
    found = batch(totals(DEVICES, window_start(window_s)), RECORDS, SCHEMA)
    assert {tuple(row) for row in found} == expected
    assert len(found) == len(expected)
