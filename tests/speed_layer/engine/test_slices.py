"""Slices of a micro-batch are taken from all partitions in proportion, and together are the whole of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speed_layer.engine.slices import cut, length

RANGES = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), min_size=1, max_size=5)


@given(RANGES, RANGES, st.data())
def test_a_cut_has_so_many_offsets_of_all_partitions_in_proportion(
    first: list[tuple[int, int]], second: list[tuple[int, int]], data: st.DataObject
) -> None:
    feeds = {"a": first, "b": second}
    start = {feed: {p: begin for p, (begin, _) in enumerate(ranges)} for feed, ranges in feeds.items()}
    end = {feed: {p: begin + count for p, (begin, count) in enumerate(ranges)} for feed, ranges in feeds.items()}
    total = length(start, end)
    count = data.draw(st.integers(1, max(total, 1)))
    if total:
        middle = cut(start, end, count)
        assert (length(start, middle), length(middle, end)) == (count, total - count)
        for feed, ranges in feeds.items():
            for partition, (begin, size) in enumerate(ranges):
                assert begin <= middle[feed][partition] <= begin + size
                assert abs(middle[feed][partition] - begin - size * count / total) < 1


def test_a_partition_without_a_start_begins_at_0() -> None:
    assert length({"a": {0: 5}}, {"a": {0: 7, 1: 4}}) == 6
    assert cut({"a": {0: 5}}, {"a": {0: 7, 1: 4}}, 3) == {"a": {0: 6, 1: 2}}


def test_slices_of_one_offset_reach_the_end() -> None:
    start, end, steps = {"a": {0: 3, 1: 0}}, {"a": {0: 5, 1: 3}}, 0
    while start != end:
        start, steps = dict(cut(start, end, 1)), steps + 1
    assert steps == 5
