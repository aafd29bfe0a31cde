"""What is sent: in stretches that Kafka's offsets can tell apart, and noted only once Kafka has taken it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from bytemeter.errors import TransientError
from bytemeter.feeds import TELEMETRY
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.transactions import TransactionalProducer
from speed_layer.executor.outgoing import OUTGOING
from speed_layer.routing.router import Router, stretches
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]


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


@pytest.fixture
def refused(stored: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    """A router of whose messages Kafka takes none."""

    def refuse(*_: object) -> None:
        raise TransientError("Kafka did not take it")

    monkeypatch.setattr(TransactionalProducer, "begin", refuse)
    router = Router(Kafka(stored), TELEMETRY)
    yield router
    router.close()


def test_what_kafka_has_not_taken_is_never_noted_as_sent(refused: Router, engine: Engine, rows: Rows) -> None:
    ledger = "insert into ledger (feed, partition, topic_id, next_offset) values ('telemetry', 0, 't', 7) returning 7"
    assert rows(ledger) == [(7,)]
    noted = "select partition, next_offset from routed"
    with engine.begin() as connection:
        refused.decide(connection, outgoing([(0, 6, b"a")]))
        refused.note(connection)
    assert rows(noted) == []
    with pytest.raises(TransientError):
        refused.send()
    # Before it is discarded, the progress of its feed may be reported once more.
    with engine.begin() as connection:
        refused.note(connection)
    assert rows(noted) == []


def test_what_was_rolled_back_is_not_sent_after_the_next_commit(refused: Router, engine: Engine) -> None:
    with engine.begin() as connection:
        refused.decide(connection, outgoing([(0, 6, b"a")]))
        connection.rollback()
    refused.forget()
    with engine.begin() as connection:
        refused.note(connection)
    # Kafka would refuse what is sent.
    refused.send()
