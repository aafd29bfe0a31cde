"""Segments so small that a few records fill them."""

from __future__ import annotations

import pytest

from speed_layer.dedup import seen

CAPACITY = 64


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "CAPACITY", CAPACITY)
    monkeypatch.setattr(seen, "_LARGE", 16)
    monkeypatch.setattr(seen, "_MOST_OPEN", 2 * CAPACITY)
