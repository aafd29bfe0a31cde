"""Slices of a micro-batch are taken from all partitions in proportion, and together are the whole of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.executors import Read
from speed_layer.engine.slices import Bounds, EndedEarlyError, Slices, cut, length

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


class Topic:
    """Counts what is read of one partition without Spark: a row stands for the offsets that it has."""

    def __init__(self, *sizes: int, tasks: int = 2, task_bytes: int = 1_000, heap: int = 10_000) -> None:
        self.sizes, self.tasks, self.task_bytes, self.heap = sizes, tasks, task_bytes, heap
        self.bounds = Bounds(task_bytes, tasks, tasks * task_bytes)
        self.slices = Slices(lambda start, end, _: (start["a"][0], end["a"][0]), self.bounds)
        self.tried: list[int] = []

    def evaluate(self, offsets: Any) -> tuple[range, Read]:
        first, end = offsets
        if end - first > self.heap:
            self.tried.append(end - first)
            raise RuntimeError("an error of Spark: java.lang.OutOfMemoryError: Java heap space")
        sizes = self.sizes[first:end]
        self.tried.append(len(sizes))
        half = -(-len(sizes) // self.tasks) or 1
        tasks = [sizes[begin : begin + half] for begin in range(0, len(sizes), half)]
        return range(first, end), Read(
            len(sizes),
            sum(sizes),
            max(map(sum, tasks), default=0),
            any(sum(task) > self.task_bytes and len(task) > 1 for task in tasks),
        )

    def read(self, first: int, end: int) -> list[range]:
        start, until = {"a": {0: first}}, {"a": {0: end}}
        rows: Any = (first, end)
        return [piece.result for piece in self.slices.read(rows, start, until, self.evaluate)]


def test_a_micro_batch_within_the_bound_is_read_at_once() -> None:
    topic = Topic(*[10] * 100)
    assert topic.read(0, 0) == [range(0)]
    assert topic.read(0, 3) == [range(3)]
    assert topic.read(3, 100) == [range(3, 100)]


def test_a_micro_batch_beyond_the_bound_is_read_in_slices_and_so_are_the_next_ones_at_once() -> None:
    topic = Topic(*[100] * 100)
    assert topic.read(0, 50) == [range(first, first + 10) for first in range(0, 50, 10)]
    assert topic.tried[0] == 50
    assert topic.tried[1:] == [10] * 5
    assert topic.read(50, 100) == [range(first, first + 10) for first in range(50, 100, 10)]
    assert topic.tried[6:] == [10] * 5


def test_many_messages_are_sampled_once_and_none_is_read_in_vain() -> None:
    topic, asked = Topic(*[100] * 40_000, task_bytes=1_000_000), []
    topic.slices.sample = lambda *offsets: asked.append(offsets) or 100.0
    pieces = topic.read(0, 30_000)
    assert [offset for piece in pieces for offset in piece] == list(range(30_000))
    assert topic.tried == [10_000] * 3
    assert topic.read(30_000, 40_000) == [range(30_000, 40_000)]
    assert asked == [({"a": {0: 0}}, {"a": {0: 30_000}})]


def test_few_messages_are_not_sampled_and_a_sample_may_be_wrong() -> None:
    topic, asked = Topic(*[1] * 10, *[1_000] * 30_000, task_bytes=1_000_000), []
    topic.slices.sample = lambda *offsets: asked.append(offsets) or 1.0
    assert topic.read(0, 5) == [range(5)]
    assert not asked
    topic.slices = Slices(topic.slices.between, topic.bounds, topic.slices.sample)
    pieces = topic.read(5, 30_000)
    assert [offset for piece in pieces for offset in piece] == list(range(5, 30_000))
    assert len(asked) == 1


def test_a_topic_without_messages_takes_no_share() -> None:
    """Agreements are read beside data records, and are seldom many."""
    size, both = 2**28, Bounds.of(2**28, cores=2, topics=2)
    assert both == Bounds(task_bytes=size // 2, tasks=4, batch_bytes=size)
    topic = Topic(*[10] * 150)
    topic.slices.bounds = Bounds(topic.task_bytes, 2 * topic.tasks, 2 * topic.task_bytes)
    assert topic.read(0, 10) == [range(10)]
    assert topic.read(10, 150) == [range(10, 150)]


def test_two_topics_together_stay_within_the_bound_of_the_micro_batch() -> None:
    topic = Topic(*[10] * 300, tasks=4)
    topic.slices.bounds = Bounds(topic.task_bytes, 4, 2 * topic.task_bytes)
    assert topic.read(0, 10) == [range(10)]
    assert topic.read(10, 300) == [range(10, 110), range(110, 300)]


def test_after_large_messages_small_ones_are_read_at_once_again() -> None:
    topic = Topic(*[400] * 10, *[1] * 500)
    pieces = topic.read(0, 510)
    assert [offset for piece in pieces for offset in piece] == list(range(510))
    assert len(pieces[-1]) > 400


def test_a_message_beyond_the_bound_is_read_by_itself() -> None:
    topic = Topic(1, 5_000, 1, 5_000, 5_000)
    assert [offset for piece in topic.read(0, 5) for offset in piece] == list(range(5))


def test_slices_are_smaller_where_one_task_has_most_of_the_bytes() -> None:
    topic = Topic(*([100] * 5 + [1] * 5) * 20)
    assert [offset for piece in topic.read(0, 200) for offset in piece] == list(range(200))
    assert max(topic.tried[1:]) < 200


def test_where_the_heap_is_full_few_messages_are_read() -> None:
    topic = Topic(*[1] * 300, heap=200)
    assert [offset for piece in topic.read(0, 300) for offset in piece] == list(range(300))
    assert topic.tried[:2] == [300, 64]
    with pytest.raises(RuntimeError, match="OutOfMemoryError"):
        Topic(*[1] * 300, heap=63).read(0, 300)


def test_a_query_that_is_to_end_reads_no_further_slice() -> None:
    topic = Topic(*[100] * 50)
    rows: Any = (0, 50)
    pieces = topic.slices.read(rows, {"a": {0: 0}}, {"a": {0: 50}}, topic.evaluate)
    assert next(pieces).end == {"a": {0: 10}}
    topic.slices.ending.set()
    with pytest.raises(EndedEarlyError, match="goes on at {'a': {0: 10}}"):
        next(pieces)
    assert topic.tried == [50, 10]


def test_a_micro_batch_that_is_read_at_once_is_whole_even_if_the_query_is_to_end() -> None:
    topic = Topic(*[10] * 100)
    topic.slices.ending.set()
    assert topic.read(0, 3) == [range(3)]
