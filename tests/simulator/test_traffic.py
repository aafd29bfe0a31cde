"""How the simulated traffic is shared."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.traffic import Zipf


@pytest.mark.parametrize(("count", "skew"), [(1, 0.8), (12, 0.8), (1_000, 0.0), (1_000, 3.0), (4_096, 0.3)])
def test_numbers_are_drawn_by_their_weights(count: int, skew: float) -> None:
    weights = np.arange(1, count + 1) ** -skew
    limits = np.cumsum(weights)
    draws = np.random.default_rng(5).random(20_000) * limits[-1]

    found = Zipf(count, skew).draw(np.random.default_rng(5), 20_000)

    # Each draw means the first number whose weights, added up, reach it.
    assert found.min() >= 0
    assert found.max() < count
    assert (draws <= limits[found] * (1 + 1e-12)).all()
    assert (draws >= (limits - weights)[found] * (1 - 1e-9)).all()
