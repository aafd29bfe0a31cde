"""How far a feed has come."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest

from bytemeter.plans.watermark import watermark

DAYS = [dt.datetime(2020, 2, day, tzinfo=dt.UTC) for day in range(1, 10)]
NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Partition:
    latest: dt.datetime | None
    idle: bool = False


@pytest.mark.parametrize(
    ("partitions", "clock", "expected"),
    [
        ([Partition(DAYS[3]), Partition(DAYS[1])], NOW, DAYS[1]),
        ([Partition(DAYS[3]), Partition(DAYS[1], idle=True)], NOW, DAYS[3]),
        ([Partition(DAYS[3]), Partition(None)], NOW, None),
        ([Partition(DAYS[3]), Partition(None, idle=True)], NOW, DAYS[3]),
        ([Partition(DAYS[3], idle=True), Partition(DAYS[1], idle=True)], NOW, NOW),
        ([Partition(DAYS[3], idle=True), Partition(DAYS[1], idle=True)], None, DAYS[3]),
        ([Partition(None, idle=True)], None, None),
        ([], None, None),
    ],
)
def test_the_watermark(partitions: list[Partition], clock: dt.datetime | None, expected: dt.datetime | None) -> None:
    assert watermark(partitions, clock=clock) == expected
