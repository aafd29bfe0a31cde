"""History rows into the records that count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from batch_layer.records import Span, distinct_records, settled_records
from bytemeter.feeds import DEVICES

FIELDS = "bytes long, timestamp long, app string, id string, antenna_id string, event_id string"
RECORDS = f"partition int, offset long, {FIELDS}, epoch_s long"
HISTORY = f"partition int, offset long, {FIELDS}, event_time timestamp, event_date date, event_hour int"
TEN = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def record(partition: int, offset: int, event_id: str | None, epoch_s: int = 0) -> tuple[Any, ...]:
    return (partition, offset, 100 * partition + offset, epoch_s, "MAPS", "u1", "a1", event_id, epoch_s)


def history_row(partition: int, offset: int, at: dt.datetime) -> tuple[Any, ...]:
    return (partition, offset, 1, int(at.timestamp()), "MAPS", "u1", "a1", None, at, at.date(), at.hour)


def positions(rows: list[Row]) -> list[tuple[int, int]]:
    return sorted((row.partition, row.offset) for row in rows)


def test_of_equal_ids_the_lowest_position_stays(batch: Callable[..., list[Row]]) -> None:
    data = [record(1, 2, "e"), record(0, 9, "e"), record(0, 8, "e"), record(0, 1, "f")]
    found = batch(distinct_records(DEVICES), data, RECORDS)
    assert positions(found) == [(0, 1), (0, 8)]
    assert {row.offset: row.bytes for row in found} == {1: 1, 8: 8}


def test_a_repeated_position_counts_once_with_and_without_id(batch: Callable[..., list[Row]]) -> None:
    data = [record(0, 1, None), record(0, 1, None), record(0, 2, None), record(0, 3, "e"), record(0, 3, "e")]
    found = batch(distinct_records(DEVICES), data, RECORDS)
    assert positions(found) == [(0, 1), (0, 2), (0, 3)]


def test_an_id_of_another_hour_is_another_record(batch: Callable[..., list[Row]]) -> None:
    data = [record(0, 1, "e", epoch_s=3_599), record(0, 2, "e", epoch_s=3_600)]
    assert positions(batch(distinct_records(DEVICES), data, RECORDS)) == [(0, 1), (0, 2)]


def test_only_settled_records_of_the_hours_are_chosen(batch: Callable[..., list[Row]], spark: SparkSession) -> None:
    history = [
        history_row(0, 1, TEN),
        history_row(0, 2, TEN + HOUR - dt.timedelta(seconds=1)),
        history_row(0, 3, TEN + HOUR),
        history_row(0, 4, TEN - dt.timedelta(days=1)),
        history_row(0, 5, TEN),
        history_row(0, 6, TEN),
        history_row(1, 1, TEN),
        history_row(2, 1, TEN),
    ]
    refused = spark.createDataFrame(
        [(0, 5, TEN), (1, 1, TEN - HOUR)], "partition int, record_offset long, event_time timestamp"
    )
    chosen = settled_records(DEVICES, span=Span.of_hours([TEN]), below={0: 6, 1: 2}, refused=refused)
    assert positions(batch(chosen, history, HISTORY)) == [(0, 1), (0, 2), (1, 1)]


def test_no_offsets_no_records(spark: SparkSession) -> None:
    history = spark.createDataFrame([history_row(0, 1, TEN)], HISTORY)
    refused = spark.createDataFrame([], "partition int, record_offset long, event_time timestamp")
    chosen = settled_records(DEVICES, span=Span.of_hours([TEN]), below={}, refused=refused)
    assert history.transform(chosen).select(F.count("*")).collect()[0][0] == 0
