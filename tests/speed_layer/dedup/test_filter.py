"""The filter names each segment that contains an id, and hardly any other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from speed_layer.dedup.filter import (
    _PROBES,
    CAPACITY,
    Keys,
    SegmentFilter,
    bits_for,
    filter_of,
    may_contain,
    set_bits,
)  # fmt: skip
from tests.seeds import SEED

SEGMENTS = 20  # more than two slices hold
FIRST_SEGMENT = 100
IDS = 1_000


def keys(seed: int, count: int = IDS) -> Keys:
    return np.random.default_rng([SEED, seed]).integers(0, 2**63, (count, 2)).astype(np.uint64)


def filled_filter() -> SegmentFilter:
    """A filter whose segments contain the keys of the seeds 0, 1, 2, ..."""
    filled = SegmentFilter(bits_for(IDS))
    for seed in range(SEGMENTS):
        filled.add_segment(FIRST_SEGMENT + seed, filter_of(keys(seed)))
    return filled


def test_the_segment_that_contains_an_id_is_a_candidate() -> None:
    filled = filled_filter()
    for number in range(SEGMENTS):
        rows, segments = filled.candidates(keys(number))
        assert set(rows[segments == FIRST_SEGMENT + number].tolist()) == set(range(IDS))


def test_the_false_positive_rate_is_that_of_the_formula() -> None:
    segments, ids, lookups = 16, 2**15, 1_000_000
    filled = SegmentFilter(2**19)
    for segment in range(segments):
        is_set = np.zeros(2**19, bool)
        set_bits(is_set, keys(segment, ids))
        filled.add_segment(segment, np.packbits(is_set).tobytes())
    false_positives = len(filled.candidates(keys(999, lookups)).rows)
    expected = (1 - math.exp(-_PROBES * ids / 2**19)) ** _PROBES
    assert false_positives / (lookups * segments) == pytest.approx(expected, rel=0.1)


def test_the_false_positive_rate_of_a_full_segment_is_6_in_a_million() -> None:
    exponent = -_PROBES * CAPACITY / bits_for(CAPACITY)
    assert round((1 - math.exp(exponent)) ** _PROBES, 6) == 6e-6


@pytest.mark.parametrize(("ids", "bits"), [(1, 2**10), (32, 2**10), (33, 2**11), (2**18 + 1, 2**24), (2**19, 2**24)])
def test_a_filter_has_32_to_64_bits_for_each_id(ids: int, bits: int) -> None:
    assert bits_for(ids) == bits
    assert len(filter_of(keys(1, ids))) == bits // 8


def test_a_filter_that_grows_contains_what_was_added() -> None:
    is_set = np.zeros(bits_for(IDS), bool)
    set_bits(is_set, keys(1))
    found = may_contain(is_set, np.concatenate([keys(2), keys(1)]))
    assert set(range(IDS, 2 * IDS)) <= set(found.tolist())
    assert len(found) < IDS + 10


def test_a_filter_without_segments_has_no_candidates() -> None:
    assert [len(array) for array in SegmentFilter(2**10).candidates(keys(1))] == [0, 0]
