"""A partition is idle once it was at its end for a while."""

from __future__ import annotations

from speed_layer.engine.idle import IdlePartitions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_partition_is_idle_after_it_was_at_its_end_for_long_enough() -> None:
    clock = Clock()
    idleness = IdlePartitions(600, clock)
    idleness.seen("f", {0: 5, 1: 5}, {0: 5, 1: 9})
    assert not idleness.idle("f", 0)
    clock.now = 599
    idleness.seen("f", {0: 5, 1: 5}, {0: 5, 1: 9})
    assert not idleness.idle("f", 0)
    clock.now = 600
    assert idleness.idle("f", 0)
    assert not idleness.idle("f", 1)


def test_records_end_idleness() -> None:
    clock = Clock()
    idleness = IdlePartitions(10, clock)
    idleness.seen("f", {0: 5}, {0: 5})
    clock.now = 10
    assert idleness.idle("f", 0)
    idleness.moved([("f", 0)])
    assert not idleness.idle("f", 0)
    idleness.seen("f", {0: 6}, {0: 6})
    clock.now = 15
    idleness.seen("f", {0: 6}, {0: 8})  # records that wait to be read
    clock.now = 25
    assert not idleness.idle("f", 0)


def test_an_empty_partition_is_at_its_end() -> None:
    idleness = IdlePartitions(0, Clock())
    idleness.seen("f", {}, {0: 0})
    assert idleness.idle("f", 0)
