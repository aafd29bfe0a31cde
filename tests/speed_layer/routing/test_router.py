"""How many bytes are sent: in stretches that Kafka's offsets can tell apart."""

from __future__ import annotations

import random

import pyarrow as pa

from speed_layer.executor.outgoing import OUTGOING
from speed_layer.routing.router import stretches
from tests.seeds import SEED


def outgoing(rows: list[tuple[int, int, bytes | None]]) -> pa.Table:
    """Messages given by partition, offset and value."""
    made = [(partition, offset, "topic", None, value, None) for partition, offset, value in rows]
    return pa.Table.from_pylist([dict(zip(OUTGOING.names, row, strict=True)) for row in made], OUTGOING)


def test_few_bytes_are_one_stretch_as_they_are() -> None:
    rows = outgoing([(1, 5, b"b"), (0, 7, b"a")])
    assert stretches(rows, 1_000) == [rows]
    assert stretches(OUTGOING.empty_table(), 1_000) == [OUTGOING.empty_table()]


def test_many_bytes_are_stretches_in_the_order_of_positions_and_a_message_is_in_one() -> None:
    chance = random.Random(SEED)
    positions = [(partition, offset) for partition in range(3) for offset in range(40)]
    chance.shuffle(positions)
    rows = [
        (partition, offset, None if chance.random() < 0.1 else f"{partition}/{offset}/{n}".encode() * 5)
        for partition, offset in positions
        for n in range(chance.randint(1, 4))
    ]
    cut = stretches(outgoing(rows), 2_000)
    assert len(cut) > 3
    found = [[(row["partition"], row["record_offset"], row["value"]) for row in part.to_pylist()] for part in cut]
    # Stable: what became of a message stays in its order.
    assert [row for part in found for row in part] == sorted(rows, key=lambda row: row[:2])
    of_parts = [{row[:2] for row in part} for part in found]
    assert sum(map(len, of_parts)) == len(positions)
    assert all(sum(len(value or b"") for *_, value in part) < 2_000 + 200 for part in found)
