"""The records of the history that count."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from batch_layer.history.counted import CountedOffsets
from batch_layer.history.duplicates import duplicate_rows
from batch_layer.history.records import counted_records
from batch_layer.history.spans import Span
from batch_layer.history.totals import totals_by_window
from bytemeter.feeds import DEVICES
from bytemeter.history.table import History
from bytemeter.windows import HOUR as HOURLY
from tests.histories import written_at
from tests.messages import device

TEN = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
OF_TEN = Span.of_hours([TEN])
ALL = CountedOffsets({0: 1_000, 1: 1_000, 2: 1_000}, {})


class Record(NamedTuple):
    """A record of devices; its bytes tell it from others."""

    partition: int
    offset: int
    event_id: str | None = None
    at: dt.datetime = TEN
    bytes: int = 1

    @property
    def message(self) -> tuple[int, int, bytes]:
        """As Kafka's source has it."""
        fields = {"timestamp": int(self.at.timestamp()), "bytes": self.bytes, "event_id": self.event_id}
        return (self.partition, self.offset, device(**fields))


class Kept:
    """A history of devices, to which files are committed."""

    def __init__(self, session: SparkSession, root: Path) -> None:
        self.history = History(session, str(root), DEVICES)
        self.history.create()
        self._commits = count()

    def keep(self, *records: Record) -> None:
        """Commit these records, those of an hour in a file."""
        done = next(self._commits)
        files = written_at(self.history, [record.message for record in records])
        self.history.append(files, {0: done}, after={0: done - 1} if done else {})

    def counted(self, span: Span = OF_TEN, counted: CountedOffsets = ALL) -> list[tuple[int, int, int]]:
        """Partition, offset and bytes of the records that count."""

        def positions(records: Iterable[pa.Table]) -> Iterable[pa.Table]:
            return (some.select(["partition", "offset", "bytes"]) for some in records)

        found = counted_records(self.history, span, counted)
        rows = found.map_tables(positions, ["bytes"], "partition int, offset long, bytes long")
        return sorted(tuple(row) for row in rows.collect())


@pytest.fixture
def kept(spark: SparkSession, tmp_path: Path) -> Kept:
    return Kept(spark, tmp_path)


def test_of_equal_ids_the_lowest_position_stays(kept: Kept) -> None:
    kept.keep(Record(1, 2, "e", bytes=12), Record(0, 9, "e", bytes=9), Record(0, 1, "f", bytes=1))
    kept.keep(Record(0, 8, "e", bytes=8))
    assert kept.counted() == [(0, 1, 1), (0, 8, 8)]


def test_a_repeated_position_counts_once_with_and_without_id(kept: Kept) -> None:
    kept.keep(Record(0, 1), Record(0, 1), Record(0, 2), Record(0, 3, "e"))
    kept.keep(Record(0, 2), Record(0, 3, "e"), Record(1, 2))
    assert kept.counted() == [(0, 1, 1), (0, 2, 1), (0, 3, 1), (1, 2, 1)]


def test_an_id_of_another_hour_is_another_record(kept: Kept) -> None:
    kept.keep(Record(0, 1, "e"), Record(0, 2, "e", TEN + HOUR), Record(0, 3, "e", TEN + HOUR))
    assert kept.counted(Span(TEN, TEN + 2 * HOUR)) == [(0, 1, 1), (0, 2, 1)]


def test_only_counted_records_of_the_hours_are_chosen(kept: Kept) -> None:
    kept.keep(
        Record(0, 1),
        Record(0, 2, at=TEN + HOUR - dt.timedelta(seconds=1)),
        Record(0, 3, at=TEN + HOUR),
        Record(0, 4, at=TEN - dt.timedelta(days=1)),
        Record(0, 5),
        Record(0, 6),
        Record(1, 1),
        Record(2, 1),
    )
    counted = CountedOffsets({0: 6, 1: 2}, {0: np.array([5]), 2: np.array([1])})
    assert [position[:2] for position in kept.counted(counted=counted)] == [(0, 1), (0, 2), (1, 1)]
    apart = Span.of_hours([TEN - dt.timedelta(hours=24), TEN + HOUR])
    assert [position[:2] for position in kept.counted(apart)] == [(0, 3), (0, 4)]


def test_a_repeat_whose_first_was_refused_counts(kept: Kept) -> None:
    kept.keep(Record(0, 1, "e"), Record(0, 2, "e"))
    assert kept.counted(counted=CountedOffsets({0: 3}, {0: np.array([1])})) == [(0, 2, 1)]


def test_no_offsets_or_no_history_no_records(kept: Kept, spark: SparkSession, tmp_path: Path) -> None:
    kept.keep(Record(0, 1))
    assert kept.counted(counted=CountedOffsets({}, {})) == []
    nowhere = History(spark, str(tmp_path / "nowhere"), DEVICES)
    assert counted_records(nowhere, OF_TEN, ALL).map_tables(iter, ["bytes"], "bytes long").collect() == []


def test_a_feed_without_ids_has_positions(kept: Kept) -> None:
    kept.keep(Record(0, 1, "e"), Record(0, 1, "e"), Record(0, 2, "e"))
    kept.history = replace(kept.history, feed=replace(DEVICES, event_id=None))
    assert kept.counted() == [(0, 1, 1), (0, 2, 1)]


def test_many_records_in_many_files_are_added_up_once_each(kept: Kept, seed: int) -> None:
    """Beside the rule as a dictionary."""
    drawn = random.Random(seed)
    first: dict[object, Record] = {}
    for commit in range(4):
        positions = [(drawn.randrange(3), 250 * commit + n) for n in range(250)]
        records = [
            Record(p, o, drawn.choice([None, f"e-{drawn.randrange(40)}"]), TEN + drawn.randrange(2) * HOUR, 2**n)
            for n, (p, o) in enumerate(positions, start=1)
            if n <= 40
        ]
        kept.keep(*records)
        for record in records:
            key = (record.at, record.event_id or record[:2])
            first[key] = min(first.get(key, record), record)
    counted = counted_records(kept.history, Span(TEN, TEN + 2 * HOUR), ALL)
    found = {
        (row.type, dt.datetime.fromtimestamp(row.window_s, dt.UTC)): row.value
        for row in totals_by_window(counted, HOURLY).collect()
    }
    # Many different ids share six bits; they stay apart.
    with_few_bits = duplicate_rows(kept.history.session, DEVICES, counted.splits, ALL, bits=6)
    assert {file: rows.tolist() for file, rows in with_few_bits.items()} == {
        file: rows.tolist() for file, rows in counted.duplicates.items()
    }
    assert 100 < len(first) < 160
    for hour in (TEN, TEN + HOUR):
        expected = sum(record.bytes for record in first.values() if record.at == hour)
        assert {value for (_, at), value in found.items() if at == hour} == {expected}
