"""The shape of traffic: its rate over the day, its shares, its start, and who sends how much."""

from __future__ import annotations

import numpy as np
import pytest

from bytemeter.errors import BytemeterError
from simulator.traffic import Rhythm, Traffic, Zipf, start_time


def test_more_records_by_day_than_by_night() -> None:
    night, day = Rhythm(4 * 3600, rate=100), Rhythm(16 * 3600, rate=100)
    assert night.take(1_000)[-1] - 4 * 3600 == pytest.approx(999 / 40)
    assert day.take(1_000)[-1] - 16 * 3600 == pytest.approx(999 / 160)


def test_impossible_traffic_is_refused() -> None:
    with pytest.raises(BytemeterError, match="expected 0 to 1, in sum at most 1"):
        Traffic(start=0, late=0.6, invalid=0.6)
    with pytest.raises(BytemeterError, match="duplicates need event ids"):
        Traffic(start=0, duplicates=0.1, event_ids=False)


def test_the_start_is_given_or_chosen_so_that_the_records_end_now() -> None:
    assert start_time("2026-11-21T10:00:00", records=None, rate=1) == 1_795_255_200
    assert start_time("2026-11-21T10:00:00+01:00", records=None, rate=1) == 1_795_251_600
    now = start_time(None, records=None, rate=1)
    assert 86_000 < now - start_time(None, records=86_400, rate=1) < 87_000
    with pytest.raises(BytemeterError, match="'tomorrow' is not a time"):
        start_time("tomorrow", records=None, rate=1)


@pytest.mark.parametrize(("count", "skew"), [(1, 0.8), (12, 0.8), (1_000, 0.0), (1_000, 3.0), (4_096, 0.3)])
def test_numbers_are_drawn_by_their_weights(count: int, skew: float, seed: int) -> None:
    weights = np.arange(1, count + 1) ** -skew
    limits = np.cumsum(weights)
    draws = np.random.default_rng(seed).random(20_000) * limits[-1]

    numbers = Zipf(count, skew).draw(np.random.default_rng(seed), 20_000)

    # Each draw means the first number whose weights, added up, reach it.
    assert numbers.min() >= 0
    assert numbers.max() < count
    assert (draws <= limits[numbers] * (1 + 1e-12)).all()
    assert (draws >= (limits - weights)[numbers] * (1 - 1e-9)).all()
