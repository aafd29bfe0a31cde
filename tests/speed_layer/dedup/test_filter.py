"""In which segments an id may be."""

from __future__ import annotations

import numpy as np
import pytest

from speed_layer.dedup import filter as seen_filter
from speed_layer.dedup.filter import Keys, SegmentFilter

SEGMENTS = 40  # more than fit one slice


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_filter, "_BITS", 2**15)


def keys(seed: int, count: int = 1_000) -> Keys:
    return np.random.default_rng(seed).integers(0, 2**63, (count, 2)).astype(np.uint64)


def filled() -> SegmentFilter:
    known = SegmentFilter()
    for segment in range(SEGMENTS):
        known.add_segment(100 + segment)
        known.add(100 + segment, keys(segment))
    return known


def test_an_id_is_looked_for_in_the_segment_that_holds_it() -> None:
    known = filled()
    for segment in range(SEGMENTS):
        ids, segments = known.candidates(keys(segment))
        assert set(ids[segments == 100 + segment].tolist()) == set(range(1_000))


def test_hardly_any_id_is_looked_for_where_it_is_not() -> None:
    ids, segments = filled().candidates(keys(999, 100_000))
    assert len(ids) == len(segments) < 100_000 * SEGMENTS * 0.00003


def test_a_stored_filter_knows_what_it_knew() -> None:
    known = filled()
    again = SegmentFilter()
    for segment in range(SEGMENTS):
        again.add_segment(100 + segment, known.of_segment(100 + segment))
    asked = np.concatenate([keys(3), keys(39), keys(999, 50_000)])
    for one, other in zip(known.candidates(asked), again.candidates(asked), strict=True):
        assert one.tolist() == other.tolist()


def test_an_empty_filter_knows_nothing() -> None:
    assert [len(part) for part in SegmentFilter().candidates(keys(1))] == [0, 0]
