"""Repeats are found exactly, whatever the sizes of micro-batches and segments, and after a new start."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine

from speed_layer.seen import ids as seen_ids
from speed_layer.seen.ids import Identified, SeenIds

HOUR = 1_763_700_000_000_000 // seen_ids.HOUR_US * seen_ids.HOUR_US

# id, hour, content
Record = tuple[int, int, int]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_ids, "CAPACITY", 64)
    monkeypatch.setattr(seen_ids, "_LARGE", 16)


def identified(records: list[Record], first_offset: int) -> Identified:
    return Identified(
        np.array([(id_, 7 * id_) for id_, *_ in records], np.uint64).reshape(-1, 2),
        np.array([HOUR + hour * seen_ids.HOUR_US + 5 for _, hour, _ in records], np.int64),
        np.zeros(len(records), np.int32),
        np.arange(first_offset, first_offset + len(records)),
        np.array([content for *_, content in records], np.int64),
    )


def opened(connection: Connection) -> SeenIds:
    seen = SeenIds("devices")
    seen.load(connection)
    return seen


def test_every_repeat_is_found_and_nothing_else(engine: Engine, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
    rng, offset = random.Random(1), 0
    firsts: dict[tuple[int, int], tuple[int, int]] = {}
    expected = []
    seen, connection = None, engine.connect()
    for size in [1, 3, 100, 0, 20, 200, 5, 15, 16, 60, 63, 64, 65, 1, 130, 7] * 2:
        if seen is None or rng.random() < 0.2:  # a new start
            connection.close()
            engine.dispose()
            connection = engine.connect()
            with connection.begin():
                seen = opened(connection)
        batch = [(rng.randrange(600), rng.randrange(2), rng.randrange(2)) for _ in range(size)]
        told = []
        for at, (id_, hour, content) in enumerate(batch, offset):
            first = firsts.setdefault((id_, hour), (at, content))
            told.append(first[0] != at)
            if first[0] != at:
                expected.append((at, first[0], content != first[1]))
        with connection.begin():
            assert seen.set_apart(connection, identified(batch, offset)).tolist() == told
        offset += size
    connection.close()
    listed = "select record_offset, first_offset, conflict from duplicate_events order by record_offset"
    assert rows(listed) == expected
    assert rows("select (select count(*) from seen_ids), sum(ids), max(ids) <= 64 from seen_segments") == [
        (len(firsts), len(firsts), True)
    ]


def test_of_equal_ids_in_one_micro_batch_the_lowest_position_stays(engine: Engine) -> None:
    both = identified([(1, 0, 0), (1, 0, 0), (1, 0, 0)], 10)
    both.partition[:] = (2, 0, 0)
    with engine.begin() as connection:
        assert opened(connection).set_apart(connection, both).tolist() == [True, False, True]


def test_what_was_rolled_back_was_not_seen(engine: Engine) -> None:
    batch = identified([(n, 0, 0) for n in range(40)], 0)
    with engine.connect() as connection:
        with connection.begin() as transaction:
            assert not opened(connection).set_apart(connection, batch).any()
            transaction.rollback()
        with connection.begin():
            again = opened(connection)
            assert not again.set_apart(connection, batch).any()
            assert again.set_apart(connection, batch).all()
