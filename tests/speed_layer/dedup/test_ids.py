"""Repeats are found exactly, whatever the sizes of micro-batches and segments, and after a new start."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Connection, Engine, text

from speed_layer.dedup import ids as seen_ids
from speed_layer.dedup.ids import Deduplicator, IdentifiedRecords

HOUR = 1_763_700_000_000_000 // seen_ids.HOUR_US * seen_ids.HOUR_US

# id, hour, content
Record = tuple[int, int, int]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_ids, "CAPACITY", 64)
    monkeypatch.setattr(seen_ids, "_LARGE", 16)


def identified(records: list[Record], first_offset: int, partitions: list[int] | None = None) -> IdentifiedRecords:
    columns = {
        "id_hash": pa.array([struct.pack("<QQ", id_, 7 * id_ % 2**64) for id_, *_ in records], pa.binary()),
        "event_us": pa.array([HOUR + hour * seen_ids.HOUR_US + 5 for _, hour, _ in records], pa.int64()),
        "partition": pa.array(partitions or [0] * len(records), pa.int32()),
        "record_offset": pa.array(range(first_offset, first_offset + len(records)), pa.int64()),
        "content_hash": pa.array([content for *_, content in records], pa.int64()),
    }
    return IdentifiedRecords.of(pa.table(columns))


def opened(connection: Connection) -> Deduplicator:
    seen = Deduplicator("devices")
    seen.load(connection)
    return seen


def written(connection: Connection) -> int:
    """How many ids there are in all packs, seen or not."""
    return int(connection.scalar(text("select coalesce(sum(length(ids)), 0) / 40 from seen_ids")) or 0)


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
            assert seen.find_duplicates(connection, identified(batch, offset)).tolist() == told
            seen.finish(connection)
        offset += size
    connection.close()
    listed = "select record_offset, first_offset, conflict from duplicate_events order by record_offset"
    assert rows(listed) == expected
    of_segments = "select cast(sum(length(ids)) / 40 as bigint) as n from seen_ids group by segment"
    assert rows(f"select cast(sum(n) as bigint), max(n) <= 64 from ({of_segments}) as s") == [(len(firsts), True)]


def test_of_equal_ids_in_one_micro_batch_the_lowest_position_stays(engine: Engine) -> None:
    both = identified([(1, 0, 0), (1, 0, 0), (1, 0, 0)], 10, partitions=[2, 0, 0])
    with engine.begin() as connection:
        assert opened(connection).find_duplicates(connection, both).tolist() == [True, False, True]


def test_what_was_rolled_back_was_not_seen(engine: Engine) -> None:
    batch = identified([(n, 0, 0) for n in range(40)], 0)
    with engine.connect() as connection:
        with connection.begin() as transaction:
            seen = opened(connection)
            assert not seen.find_duplicates(connection, batch).any()
            seen.finish(connection)
            transaction.rollback()
        with connection.begin():
            assert written(connection) == 40
            seen = opened(connection)
            assert written(connection) == 0
            assert not seen.find_duplicates(connection, batch).any()
            assert seen.find_duplicates(connection, batch).all()
        with connection.begin():
            again = identified([(n, 0, 0) for n in range(40)], 100)
            assert opened(connection).find_duplicates(connection, again).all()


def test_the_start_of_another_feed_leaves_alone_what_is_not_counted_yet(engine: Engine) -> None:
    batch = identified([(n, 0, 0) for n in range(40)], 0)
    with engine.begin() as connection:
        seen = opened(connection)
        seen.find_duplicates(connection, batch)
        seen.finish(connection)
        with engine.begin() as another:
            Deduplicator("data-records").load(another)
    with engine.begin() as connection:
        again = identified([(n, 0, 0) for n in range(40)], 100)
        assert opened(connection).find_duplicates(connection, again).all()


def test_ids_that_share_a_key_are_told_apart(engine: Engine) -> None:
    """More of them than a pack holds, in segments that are full and in the open one."""
    hours = range(0, 400, 2)
    golden, number = 0x9E3779B97F4A7C15, HOUR // seen_ids.HOUR_US
    # What the key makes of id and hour is the same for all of these.
    batch = [((number + hour) * golden % 2**64, hour, 0) for hour in hours]
    with engine.begin() as connection:
        seen = opened(connection)
        for first in range(0, len(batch), 50):
            assert not seen.find_duplicates(connection, identified(batch[first : first + 50], first)).any()
        assert seen.find_duplicates(connection, identified(batch, 1_000)).all()
        assert opened(connection).find_duplicates(connection, identified(batch, 2_000)).all()
        others = [(id_, hour + 1, 0) for id_, hour, _ in batch]
        assert not seen.find_duplicates(connection, identified(others, 3_000)).any()
