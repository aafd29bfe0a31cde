"""Duplicates are found exactly within the horizon, whatever the sizes of micro-batches and segments, and after restarts."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine

from bytemeter.errors import BytemeterError
from speed_layer.dedup import hours as hours_module
from speed_layer.dedup import seen as module
from tests.identities import FIRST_HOUR, HORIZON_H, Process, Record, identified, move_ledger, scalar
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]

# The ids in all packs, counted or not.
STORED_IDS = "select coalesce(sum(length(ids)), 0) / 40 from seen_ids"
PARTITIONS = 3


class Oracle:
    """What is expected of each record, in plain Python: ids by hour, and a horizon behind the slowest partition."""

    def __init__(self) -> None:
        self.firsts: dict[tuple[int, int], tuple[int, int]] = {}
        self.latest: dict[int, int] = {}
        self.horizon: int | None = None
        self.events: list[tuple[int, int, bool]] = []

    def count(self, records: list[Record], first_offset: int) -> tuple[list[bool], list[bool]]:
        """Which records are duplicates, and which are behind the horizon."""
        if self.latest:
            watermark = max(min(self.latest.values()), max(self.latest.values()) - 24)
            self.horizon = max(watermark - HORIZON_H, watermark - HORIZON_H if self.horizon is None else self.horizon)
        behind = [self.horizon is not None and record.hour < self.horizon for record in records]
        duplicates = [False] * len(records)
        order = sorted(range(len(records)), key=lambda n: (records[n].partition, n))
        for n in (n for n in order if not behind[n]):
            record, offset = records[n], first_offset + n
            first, content = self.firsts.setdefault((record.id, record.hour), (offset, record.content))
            duplicates[n] = first != offset
            if duplicates[n]:
                self.events.append((offset, first, content != record.content))
        for record in records:
            self.latest[record.partition] = max(record.hour, self.latest.get(record.partition, record.hour))
        return duplicates, behind


def random_records(rng: random.Random, now: int, size: int) -> list[Record]:
    """Most of them of the present hour, others late, some behind any horizon, few ahead; one partition lags."""
    records = []
    for _ in range(size):
        partition = rng.randrange(PARTITIONS)
        draw = rng.random()
        age = 0 if draw < 0.7 else rng.randrange(1, HORIZON_H + 3) if draw < 0.97 else rng.randrange(60, 90)
        ahead = rng.randrange(1, 20) if rng.random() < 0.003 else 0
        lag = 30 if partition == 2 and 15 < now < 30 else 0
        records.append(Record(rng.randrange(100), now - age - lag + ahead, rng.randrange(2), partition))
    return records


# So many ids of an hour are asked for before its filters are read; so many bytes they may take.
@pytest.mark.parametrize(("without_filters", "most_bytes"), [(0, 2**30), (40, 20_000), (10**9, 2**30)])
def test_all_duplicates_and_no_other_records_are_found(
    engine: Engine, rows: Rows, monkeypatch: pytest.MonkeyPatch, without_filters: int, most_bytes: int
) -> None:
    monkeypatch.setattr(hours_module, "_MOST_WITHOUT_FILTERS", without_filters)
    monkeypatch.setattr(module, "_MOST_BYTES", most_bytes)
    rng, oracle, offset = random.Random(SEED + most_bytes + without_filters), Oracle(), 0
    process = Process(engine)
    for now in range(45):
        if rng.random() < 0.15:
            process.end()
            process = Process(engine)
        records = random_records(rng, now, rng.choice([0, 1, 3, 20, 60, 64, 65, 100, 200]))
        if rng.random() < 0.1:
            killed_while_counting(process, records, offset)
            process = Process(engine)
        judged = process.count(*records, first_offset=offset)
        assert (judged.duplicate.tolist(), judged.behind.tolist()) == oracle.count(records, offset)
        offset += len(records)
    process.end()
    assert len(oracle.events) > 200
    listed = "select record_offset, first_offset, conflict from duplicate_events order by record_offset"
    assert rows(listed) == sorted(oracle.events)


def killed_while_counting(process: Process, records: list[Record], offset: int) -> None:
    """All ids are written, the transaction that counts their records is not committed."""
    with process.connection.begin() as transaction:
        process.count_within(records, offset)
        transaction.rollback()
    process.end()


def test_of_equal_ids_in_one_micro_batch_the_lowest_partition_and_offset_is_counted(engine: Engine) -> None:
    records = [Record(1, 0, partition=partition) for partition in (2, 0, 0)]
    assert Process(engine).count(*records, first_offset=10).duplicate.tolist() == [True, False, True]


def test_ids_of_a_transaction_that_was_rolled_back_are_new(engine: Engine) -> None:
    records = [Record(n, 0) for n in range(40)]
    process = Process(engine)
    killed_while_counting(process, records, 0)
    generation = scalar(engine, "select generation from seen_generations")
    stored = f"select coalesce(sum(length(ids)), 0) / 40 from seen_ids_{generation} where pack >= 0"
    assert scalar(engine, stored) == 40
    process = Process(engine)
    assert scalar(engine, stored) == 0
    assert not process.count(*records).duplicate.any()
    assert process.count(*records, first_offset=40).duplicate.all()
    assert Process(engine).count(*records, first_offset=80).duplicate.all()


def test_ids_that_a_full_segment_takes_over_are_found_whenever_the_process_ends(engine: Engine, rows: Rows) -> None:
    process = Process(engine)
    held_up = threading.Event()
    process.deduplicator._seen._store._thread.submit(held_up.wait)
    for first in range(0, 70, 10):  # more than an open segment holds
        process.count(*(Record(n, 0) for n in range(first, first + 10)), first_offset=first)
    held_up.set()
    written(process)
    segments = "select generation is not null, counted from seen_segments order by segment"
    assert rows(segments) == [(False, True), (False, True), (True, False)]  # written, not taken over yet
    # Its process is killed right now.
    restarted = Process(engine)
    assert restarted.count(*(Record(n, 0) for n in range(0, 70)), first_offset=100).duplicate.all()
    written(restarted)
    for first_offset in (200, 300):
        assert restarted.count(*(Record(n, 0) for n in range(0, 70)), first_offset=first_offset).duplicate.all()
    restarted.end()
    assert rows(segments) == [(False, True), (True, True)]
    assert scalar(engine, STORED_IDS) == 10
    assert Process(engine).count(*(Record(n, 0) for n in range(0, 70)), first_offset=400).duplicate.all()
    process.end()


def written(process: Process) -> None:
    """Wait until full segments are written, also those that replace open ones."""
    seen = process.deduplicator._seen
    for future in [*seen._being_written, *(replacement.written for replacement in seen._replacements)]:
        future.result(30)


def test_the_start_of_another_feed_keeps_segments_that_are_not_counted_yet(engine: Engine) -> None:
    records = [Record(n, 0) for n in range(40)]
    process = Process(engine)
    with process.connection.begin():
        process.count_within(records)
        Process(engine, feed="data-records").end()
    assert Process(engine).count(*records, first_offset=100).duplicate.all()


def test_different_ids_with_the_same_key_are_no_duplicates(engine: Engine) -> None:
    """More of them than a pack holds, in full segments and in an open one."""
    process = Process(engine)
    ids = [Record(n << 32, 0) for n in range(220)]
    # The last ones are few each time: they share the open segment.
    for begin, end in itertools.pairwise([0, 60, 120, 180, 190, 200, 210, 220]):
        assert not process.count(*ids[begin:end], first_offset=begin).duplicate.any()
    assert process.count(*ids, first_offset=1_000).duplicate.all()
    process.end()
    process = Process(engine)
    assert process.count(*ids, first_offset=2_000).duplicate.all()
    assert not process.count(*(Record(n << 32, 0) for n in range(220, 400)), first_offset=3_000).duplicate.any()
    process.end()


def test_an_open_segment_grows_over_restarts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packs have numbers of their own, however many there are and whichever process appended them."""
    monkeypatch.setattr(module, "CAPACITY", 2**19)
    monkeypatch.setattr(module, "_LARGE", 2**17)
    monkeypatch.setattr(module, "_MOST_OPEN", 2**20)
    ids = [Record(n, hour) for n in range(900) for hour in range(3)]
    for begin in range(0, 2_700, 900):
        process = Process(engine)
        for first in range(begin, begin + 900, 300):
            assert not process.count(*ids[first : first + 300], first_offset=first).duplicate.any()
        process.end()
        numbered = "select max(pack) < sum(length(ids)) / 40 as numbered from seen_ids group by segment"
        assert scalar(engine, f"select bool_and(numbered) from ({numbered}) as s")
    process = Process(engine)
    assert process.count(*ids, first_offset=10_000).duplicate.all()
    process.end()


def test_a_second_process_cannot_make_ids_of_the_first_one_disappear(engine: Engine) -> None:
    records = [Record(n, 0) for n in range(40)]
    process = Process(engine)
    with process.connection.begin() as transaction:
        process.deduplicator.find_duplicates(process.connection, identified(records))
        written(process)
        Process(engine).end()  # removes what seems to be left behind
        with pytest.raises(BytemeterError, match="are gone before their records were counted"):
            process.deduplicator.finish(process.connection)
        transaction.rollback()
    process.end()
    process = Process(engine)
    assert not process.count(*records).duplicate.any()
    process.end()


def test_a_start_reads_no_filter_and_a_micro_batch_reads_those_of_its_hours(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours_module, "_MOST_WITHOUT_FILTERS", 0)
    process = Process(engine)
    for hour in range(8):
        process.count(*(Record(n, hour) for n in range(100)))
    process.end()
    process = Process(engine)
    loaded = process.deduplicator._seen._hours
    assert [hour - FIRST_HOUR for hour, ids in loaded.items() if ids._generations] == list(range(8))
    assert {ids.size for ids in loaded.values()} == {0}
    assert process.count(*(Record(n, 3) for n in range(100)), Record(7, 5)).duplicate.all()
    assert [hour - FIRST_HOUR for hour, ids in loaded.items() if ids.size] == [3, 5]
    process.end()


def test_memory_and_storage_stay_bounded_over_weeks(engine: Engine) -> None:
    """A micro-batch every twelve hours, with late records of all hours within the horizon, and a restart every day."""
    rng, process, offset, horizon_h, sizes = random.Random(SEED), Process(engine, hours=60), 0, 60, []
    for hour in range(0, 24 * 21, 12):
        late = [Record(rng.randrange(2**40), hour - rng.randrange(1, horizon_h)) for _ in range(40)]
        records = [*(Record(rng.randrange(2**40), hour) for _ in range(70)), *late]
        process.count(*records, first_offset=offset)
        offset += len(records)
        if hour % 24 == 12:
            process.end()  # what was to be dropped is dropped now
            process = Process(engine, hours=horizon_h)
            sizes.append(kept(engine, process))
    process.end()
    for of_first_week, later in zip(zip(*sizes[:7], strict=True), zip(*sizes[7:], strict=True), strict=True):
        assert max(later) <= max(of_first_week) * 1.2
    most = Kept(*map(max, zip(*sizes, strict=True)))
    assert most.hours <= horizon_h + 12
    # And those of a micro-batch, which were being replaced when the process ended.
    assert most.open_ids <= module._MOST_OPEN + 110
    assert most.segments <= 3 * horizon_h
    assert most.stored_open <= module._MOST_OPEN + 110
    # Of the micro-batches within the horizon, of that before, and of those whose ids are dropped next.
    assert most.tables <= horizon_h / 12 + 4


class Kept(NamedTuple):
    """How much is kept in memory and in the database."""

    hours: int
    open_ids: int
    segments: int
    stored_open: int
    tables: int


def kept(engine: Engine, process: Process) -> Kept:
    hours = process.deduplicator._seen._hours
    return Kept(
        hours=len(hours),
        open_ids=sum(ids.open.size for ids in hours.values() if ids.open),
        segments=scalar(engine, "select count(*) from seen_segments"),
        stored_open=scalar(engine, STORED_IDS),
        tables=scalar(engine, "select count(*) from pg_tables where tablename like 'seen\\_ids\\_%'"),
    )


def test_what_is_read_by_others_is_dropped_later_and_counting_goes_on(engine: Engine, rows: Rows) -> None:
    process = Process(engine)
    process.count(*(Record(n, 0) for n in range(100)))
    ((generation,),) = rows("select generation from seen_generations")
    with engine.begin() as backup:
        backup.exec_driver_sql(f"select count(*) from seen_ids_{generation}")
        for hour in range(HORIZON_H, HORIZON_H + 4):
            process.count(Record(1, hour))
        process.end()
        assert (generation,) in rows("select generation from seen_generations")
    process = Process(engine)
    process.count(Record(2, HORIZON_H + 4))
    process.end()
    assert (generation,) not in rows("select generation from seen_generations")
    assert scalar(engine, f"select to_regclass('seen_ids_{generation}')") is None
    assert scalar(engine, "select count(*) from seen_segments where last_hour = :hour", hour=FIRST_HOUR) == 0


def test_ids_of_a_new_feed_are_not_dropped_before_it_has_a_horizon(engine: Engine) -> None:
    with engine.begin() as connection:
        move_ledger(connection, [Record(0, 100)], feed="data-records")
    process = Process(engine)
    process.count(*(Record(n, 0) for n in range(100)))
    Process(engine, feed="data-records").end()
    assert process.count(*(Record(n, 0) for n in range(100)), first_offset=100).duplicate.all()
    process.end()


def test_records_of_a_micro_batch_are_grouped_by_hour() -> None:
    hours = [5, 70_000, 5, -9, 70_000, 5]
    rows = identified([Record(n, hour) for n, hour in enumerate(hours)]).rows_by_hour
    assert {hour - FIRST_HOUR: of_hour.tolist() for hour, of_hour in rows.items()} == {
        -9: [3], 5: [0, 2, 5], 70_000: [1, 4],
    }  # fmt: skip
