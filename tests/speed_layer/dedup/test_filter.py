"""The filter names each segment that contains an id, and hardly any other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from speed_layer.dedup import filter as module
from speed_layer.dedup.filter import Keys, SegmentFilter
from tests.seeds import SEED

SEGMENTS = 40  # more than two slices hold
FIRST_SEGMENT = 100
IDS = 1_000


@pytest.fixture(autouse=True)
def _small_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BITS", 2**15)


def keys(number: int, count: int = IDS) -> Keys:
    """Random keys, the same for the same number."""
    return np.random.default_rng([SEED, number]).integers(0, 2**63, (count, 2)).astype(np.uint64)


def filled_filter() -> SegmentFilter:
    """A filter whose segments contain the keys 0, 1, 2, ..."""
    filled = SegmentFilter()
    for number in range(SEGMENTS):
        filled.add_segment(FIRST_SEGMENT + number)
        filled.add(FIRST_SEGMENT + number, keys(number))
    return filled


def test_the_segment_that_contains_an_id_is_a_candidate() -> None:
    filled = filled_filter()
    for number in range(SEGMENTS):
        rows, segments = filled.candidates(keys(number))
        assert set(rows[segments == FIRST_SEGMENT + number].tolist()) == set(range(IDS))


def test_the_false_positive_rate_is_that_of_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    segments, ids, bits, lookups = 16, 2**15, 2**19, 500_000
    monkeypatch.setattr(module, "_BITS", bits)
    filled = SegmentFilter()
    for segment in range(segments):
        filled.add_segment(segment)
        filled.add(segment, keys(segment, ids))
    false_positives = len(filled.candidates(keys(999, lookups)).rows)
    expected = lookups * segments * (1 - math.exp(-module._PROBES * ids / bits)) ** module._PROBES
    assert expected > 1_000
    # Six standard deviations, and a percent for the formula, which is an approximation.
    assert false_positives == pytest.approx(expected, abs=6 * math.sqrt(expected) + 0.01 * expected)


def test_the_false_positive_rate_of_a_full_segment_is_6_in_a_million(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    exponent = -module._PROBES * module.CAPACITY / module._BITS
    assert round((1 - math.exp(exponent)) ** module._PROBES, 6) == 6e-6


def test_a_stored_filter_has_the_same_candidates() -> None:
    filled, restored = filled_filter(), SegmentFilter()
    for segment in range(FIRST_SEGMENT, FIRST_SEGMENT + SEGMENTS):
        restored.add_segment(segment, filled.to_bytes(segment))
    wanted = np.concatenate([keys(3), keys(39), keys(999, 50_000)])
    for before, after in zip(filled.candidates(wanted), restored.candidates(wanted), strict=True):
        assert before.tolist() == after.tolist()


def test_a_filter_without_segments_has_no_candidates() -> None:
    assert [len(array) for array in SegmentFilter().candidates(keys(1))] == [0, 0]
