"""A partition is idle once it has been at its end for the set time."""

from __future__ import annotations

from speed_layer.engine.idle import IdlePartitions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_partition_is_idle_after_the_set_time_at_its_end() -> None:
    clock = Clock()
    partitions = IdlePartitions(600, clock)
    partitions.observe("f", {0: 5, 1: 5}, {0: 5, 1: 9})
    assert not partitions.is_idle("f", 0)
    clock.now = 599
    partitions.observe("f", {0: 5, 1: 5}, {0: 5, 1: 9})
    assert not partitions.is_idle("f", 0)
    clock.now = 600
    assert partitions.is_idle("f", 0)
    assert not partitions.is_idle("f", 1)


def test_a_counted_record_makes_a_partition_active() -> None:
    clock = Clock()
    partitions = IdlePartitions(10, clock)
    partitions.observe("f", {0: 5}, {0: 5})
    clock.now = 10
    assert partitions.is_idle("f", 0)
    partitions.mark_active([("f", 0)])
    assert not partitions.is_idle("f", 0)


def test_a_record_that_waits_to_be_read_makes_a_partition_active() -> None:
    clock = Clock()
    partitions = IdlePartitions(10, clock)
    partitions.observe("f", {0: 6}, {0: 6})
    clock.now = 5
    partitions.observe("f", {0: 6}, {0: 8})
    clock.now = 15
    assert not partitions.is_idle("f", 0)


def test_an_empty_partition_is_at_its_end() -> None:
    partitions = IdlePartitions(0, Clock())
    partitions.observe("f", {}, {0: 0})
    assert partitions.is_idle("f", 0)
