"""When a plan runs out: exact for even use, an interval that keeps its word for uneven use, and silent without a reason."""

from __future__ import annotations

import random
from math import isclose

import pytest

from serving.api.projection import CONFIDENCE, Stretch, project

DAY = 86_400.0


def test_even_use_runs_out_when_its_rate_says() -> None:
    found = project([Stretch(5 * DAY, 250), Stretch(5 * DAY, 250)], [], limit=1_000, left_s=20 * DAY)
    assert found is not None
    assert isclose(found.runs_out_s or 0, 10 * DAY)
    # Nothing varies: the interval is a point.
    assert isclose(found.earliest_s or 0, 10 * DAY)
    assert isclose(found.latest_s or 0, 10 * DAY)
    assert (found.total, found.least, found.most) == (1_500, 1_500, 1_500)


def test_a_plan_that_lasts_has_no_instant_but_a_total() -> None:
    found = project([Stretch(DAY, 10), Stretch(DAY, 30)], [], limit=1_000, left_s=10 * DAY)
    assert found is not None
    assert (found.runs_out_s, found.latest_s) == (None, None)
    assert found.total == 240
    assert found.least is not None
    assert found.most is not None
    assert 40 <= found.least < 240 < found.most


def test_the_interval_comes_from_earlier_periods_where_no_threshold_was_crossed() -> None:
    alone = project([Stretch(10 * DAY, 500)], [], limit=1_000, left_s=20 * DAY)
    assert alone is not None
    assert (alone.earliest_s, alone.latest_s, alone.most) == (None, None, None)
    known = project(
        [Stretch(10 * DAY, 500)], [Stretch(30 * DAY, 1_400), Stretch(31 * DAY, 1_600)], limit=1_000, left_s=20 * DAY
    )
    assert known is not None
    assert known.earliest_s is not None
    assert known.earliest_s < 10 * DAY
    assert known.runs_out_s == alone.runs_out_s


@pytest.mark.parametrize("stretches", [[], [Stretch(DAY, 0)]])
def test_nothing_used_projects_nothing(stretches: list[Stretch]) -> None:
    assert project(stretches, [], limit=1_000, left_s=DAY) is None


def test_the_interval_of_the_total_holds_as_often_as_it_says() -> None:
    chance, held, times = random.Random(7), 0, 2_000
    for _ in range(times):
        stretches = [Stretch(DAY, chance.gauss(100, 20)) for _ in range(8)]
        found = project(stretches, [], limit=10**9, left_s=20 * DAY)
        assert found is not None
        assert found.least is not None
        assert found.most is not None
        total = sum(one.used for one in stretches) + chance.gauss(20 * 100, 20 * 20**0.5)
        held += found.least <= total <= found.most
    assert abs(held / times - CONFIDENCE) < 0.03
