"""What parsing alone costs: messages of devices in each shape, with msgspec and without it, on one core."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import pyarrow as pa

from benchmarks.shapes import COMPACT, SHAPES, ShapedDevices
from benchmarks.topics import START, own_process
from bytemeter.feeds import DEVICES
from bytemeter.parsing import parse, structs
from simulator.traffic import Traffic

_MESSAGES, _ROUNDS = 50_000, 10
# As many as the live query parses at once.
_AT_ONCE = 10_000
_INVALID = "1 % invalid"

Batches = list[pa.Table]


@dataclass(frozen=True)
class Cost:
    """CPU time for one message, in microseconds: the best round, and the median of all rounds."""

    best_us: float
    median_us: float


def measure_parsing() -> None:
    """Print the CPU time that each shape takes, with msgspec and without it, and the ratios."""
    with own_process() as process:
        fast, reference = process.submit(_costs).result()
    print(f"\nparsing alone: {_MESSAGES:,} devices with event ids, {_ROUNDS} rounds; CPU time for each message in μs")
    print(f"{'':<28}{'with msgspec':<40}without msgspec")
    print(f"{'shape':<28}{'best':<8}{'median':<8}{'ratio to the fastest':<24}{'best':<8}{'median':<8}ratio to msgspec")
    fastest_us = min(cost.median_us for cost in fast.values())
    for shape, cost in fast.items():
        slow = reference[shape]
        with_msgspec = f"{cost.best_us:<8.2f}{cost.median_us:<8.2f}{cost.median_us / fastest_us:<24.2f}"
        without = f"{slow.best_us:<8.1f}{slow.median_us:<8.1f}{slow.median_us / cost.median_us:.1f}"
        print(f"{shape:<28}{with_msgspec}{without}", flush=True)


def messages_of(shape: str, records: int, *, invalid: float = 0.0) -> Batches:
    """Messages as executors get them: tables of partition, offset and value."""
    traffic = Traffic(START, rate=1_000, records=records, subscribers=100_000, antennas=500, invalid=invalid)
    batches = []
    for _, messages in ShapedDevices(traffic, shape).pieces(_AT_ONCE):
        columns = {
            "partition": pa.array([0] * len(messages), pa.int32()),
            "offset": pa.array(range(len(messages)), pa.int64()),
            "value": pa.array([message["value"] for message in messages], pa.binary()),
        }
        batches.append(pa.table(columns))
    return batches


def _costs() -> tuple[dict[str, Cost], dict[str, Cost]]:
    """The cost of each shape, with msgspec and without it."""
    # Arrow's own threads would hide what a message costs.
    pa.set_cpu_count(1)
    batches = {shape: messages_of(shape, _MESSAGES) for shape in SHAPES}
    batches[_INVALID] = messages_of(COMPACT, _MESSAGES, invalid=0.01)
    with_msgspec = _measured(batches)
    with _without_msgspec():
        return with_msgspec, _measured(batches)


def _measured(batches: dict[str, Batches]) -> dict[str, Cost]:
    """Parse all shapes in turn, round by round."""
    rounds = [{shape: _seconds(tables) for shape, tables in batches.items()} for _ in range(_ROUNDS)]
    costs = {}
    for shape in batches:
        times_us = [1_000_000 * seconds[shape] / _MESSAGES for seconds in rounds]
        costs[shape] = Cost(min(times_us), median(times_us))
    return costs


def _seconds(batches: Batches) -> float:
    """CPU time of this process: other programs on the machine do not count."""
    began = time.process_time()
    for messages in batches:
        parse(DEVICES, messages, now_us=time.time_ns() // 1_000)
    return time.process_time() - began


@contextmanager
def _without_msgspec() -> Iterator[None]:
    """Let the reference reader read all messages, as on a cluster whose executors lack msgspec."""
    available, structs.AVAILABLE = structs.AVAILABLE, False
    try:
        yield
    finally:
        structs.AVAILABLE = available
