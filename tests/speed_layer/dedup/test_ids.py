"""Duplicates are found exactly, whatever the sizes of micro-batches and segments, and after restarts."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Connection, Engine, text

from speed_layer.dedup import ids as module
from speed_layer.dedup.ids import Deduplicator, IdentifiedRecords

HOUR = 1_763_700_000_000_000 // module.HOUR_US * module.HOUR_US

# id, hour, content
Record = tuple[int, int, int]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAPACITY", 64)
    monkeypatch.setattr(module, "_LARGE", 16)


def identified(records: list[Record], first_offset: int, partitions: list[int] | None = None) -> IdentifiedRecords:
    columns = {
        "id_hash": pa.array([struct.pack("<QQ", id_, 7 * id_ % 2**64) for id_, *_ in records], pa.binary()),
        "event_us": pa.array([HOUR + hour * module.HOUR_US + 5 for _, hour, _ in records], pa.int64()),
        "partition": pa.array(partitions or [0] * len(records), pa.int32()),
        "record_offset": pa.array(range(first_offset, first_offset + len(records)), pa.int64()),
        "content_hash": pa.array([content for *_, content in records], pa.int64()),
    }
    return IdentifiedRecords.of(pa.table(columns))


def loaded(connection: Connection) -> Deduplicator:
    """The deduplicator of a process that starts now."""
    deduplicator = Deduplicator("devices")
    deduplicator.load(connection)
    return deduplicator


def stored_ids(connection: Connection) -> int:
    """The number of ids in all packs, counted or not."""
    return int(connection.scalar(text("select coalesce(sum(length(ids)), 0) / 40 from seen_ids")) or 0)


def test_all_duplicates_and_no_other_records_are_found(
    engine: Engine, rows: Callable[..., list[tuple[Any, ...]]], seed: int
) -> None:
    rng, offset = random.Random(seed), 0
    firsts: dict[tuple[int, int], tuple[int, int]] = {}
    expected_events = []
    deduplicator, connection = None, engine.connect()
    for size in [1, 3, 100, 0, 20, 200, 5, 15, 16, 60, 63, 64, 65, 1, 130, 7] * 2:
        if deduplicator is None or rng.random() < 0.2:  # a restart
            connection.close()
            engine.dispose()
            connection = engine.connect()
            with connection.begin():
                deduplicator = loaded(connection)
        batch = [(rng.randrange(600), rng.randrange(2), rng.randrange(2)) for _ in range(size)]
        expected = []
        for record_offset, (id_, hour, content) in enumerate(batch, offset):
            first_offset, first_content = firsts.setdefault((id_, hour), (record_offset, content))
            expected.append(first_offset != record_offset)
            if first_offset != record_offset:
                expected_events.append((record_offset, first_offset, content != first_content))
        with connection.begin():
            assert deduplicator.find_duplicates(connection, identified(batch, offset)).tolist() == expected
            deduplicator.finish(connection)
        offset += size
    connection.close()
    listed = "select record_offset, first_offset, conflict from duplicate_events order by record_offset"
    assert rows(listed) == expected_events
    sizes = "select cast(sum(length(ids)) / 40 as bigint) as size from seen_ids group by segment"
    assert rows(f"select cast(sum(size) as bigint), max(size) <= 64 from ({sizes}) as s") == [(len(firsts), True)]


def test_of_equal_ids_in_one_micro_batch_the_lowest_partition_and_offset_is_counted(engine: Engine) -> None:
    records = identified([(1, 0, 0), (1, 0, 0), (1, 0, 0)], 10, partitions=[2, 0, 0])
    with engine.begin() as connection:
        assert loaded(connection).find_duplicates(connection, records).tolist() == [True, False, True]


def test_ids_of_a_transaction_that_was_rolled_back_are_new(engine: Engine) -> None:
    records = identified([(n, 0, 0) for n in range(40)], 0)
    with engine.connect() as connection:
        with connection.begin() as transaction:
            deduplicator = loaded(connection)
            assert not deduplicator.find_duplicates(connection, records).any()
            deduplicator.finish(connection)
            transaction.rollback()
        with connection.begin():
            assert stored_ids(connection) == 40
            deduplicator = loaded(connection)
            assert stored_ids(connection) == 0
            assert not deduplicator.find_duplicates(connection, records).any()
            assert deduplicator.find_duplicates(connection, records).all()
        with connection.begin():
            sent_again = identified([(n, 0, 0) for n in range(40)], 100)
            assert loaded(connection).find_duplicates(connection, sent_again).all()


def test_the_start_of_another_feed_keeps_segments_that_are_not_counted_yet(engine: Engine) -> None:
    records = identified([(n, 0, 0) for n in range(40)], 0)
    with engine.begin() as connection:
        deduplicator = loaded(connection)
        deduplicator.find_duplicates(connection, records)
        deduplicator.finish(connection)
        with engine.begin() as other_connection:
            Deduplicator("data-records").load(other_connection)
    with engine.begin() as connection:
        sent_again = identified([(n, 0, 0) for n in range(40)], 100)
        assert loaded(connection).find_duplicates(connection, sent_again).all()


def test_different_ids_with_the_same_key_are_no_duplicates(engine: Engine) -> None:
    """More of them than a pack holds, in full segments and in the open one."""
    hours = range(0, 400, 2)
    golden_ratio, first_hour = 0x9E3779B97F4A7C15, HOUR // module.HOUR_US
    # The hour's part of the key cancels that of the id, so that all of these have the same key.
    batch = [((first_hour + hour) * golden_ratio % 2**64, hour, 0) for hour in hours]
    with engine.begin() as connection:
        deduplicator = loaded(connection)
        for first in range(0, len(batch), 50):
            assert not deduplicator.find_duplicates(connection, identified(batch[first : first + 50], first)).any()
        assert deduplicator.find_duplicates(connection, identified(batch, 1_000)).all()
        assert loaded(connection).find_duplicates(connection, identified(batch, 2_000)).all()
        others = [(id_, hour + 1, 0) for id_, hour, _ in batch]
        assert not deduplicator.find_duplicates(connection, identified(others, 3_000)).any()
