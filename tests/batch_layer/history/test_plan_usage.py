"""Data records into the totals of billing periods, and into crossings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from sqlalchemy import Engine, text

from batch_layer.history.counted import CountedOffsets
from batch_layer.history.plans import crossings, data_records, is_reached, owned_records, totals_by_period
from batch_layer.history.records import counted_records
from batch_layer.history.spans import Span
from bytemeter.feeds import DATA_RECORDS
from bytemeter.history.table import History
from tests.histories import written
from tests.messages import data_record

RECORDS = "msisdn string, event_us long, internal_id string, bytes long"
OWNERSHIP = "msisdn string, served_from_us long, served_until_us long, agreement_id string, period_start timestamp"
OWNED = "agreement_id string, period_start timestamp, event_us long, internal_id string, bytes long"
THRESHOLDS = "agreement_id string, period_start timestamp, threshold_bytes long"
JANUARY = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)

Run = Callable[..., list[Row]]


def record(second: int, size: int, msisdn: str = "48") -> tuple[Any, ...]:
    return (msisdn, second * 1_000_000, f"i-{second}", size)


def test_each_record_belongs_to_the_ownership_span_that_contains_its_instant(batch: Run, spark: SparkSession) -> None:
    ownership = spark.createDataFrame(
        [("48", 10_000_000, 20_000_000, "a", JANUARY), ("48", 20_000_000, 30_000_000, "b", LATER)], OWNERSHIP
    )
    data = [
        record(9, 1),
        record(10, 2),
        record(19, 4),
        record(20, 8),
        record(30, 16),
        record(15, 32, "49"),
    ]
    found = batch(owned_records(ownership), data, RECORDS)
    assert sorted((row.agreement_id, row.event_us, row.internal_id, row.bytes) for row in found) == [
        ("a", 10_000_000, "i-10", 2),
        ("a", 19_000_000, "i-19", 4),
        ("b", 20_000_000, "i-20", 8),
    ]


@pytest.mark.parametrize("most", [2, 2**40])
def test_the_latest_record_is_that_of_the_last_instant_and_of_equal_ones_the_last_id(batch: Run, most: int) -> None:
    data = [("a", JANUARY, 5, "x", 1), ("a", JANUARY, 7, "b", 10), ("a", JANUARY, 7, "c", 100), ("a", LATER, 9, "d", 5)]
    found = batch(partial(totals_by_period, most=most), data, OWNED)
    assert sorted((row.bytes, row.latest_us, row.latest) for row in found) == [(5, 9, "d"), (111, 7, "c")]


def test_a_threshold_is_crossed_by_the_first_record_that_reaches_it(spark: SparkSession) -> None:
    owned = spark.createDataFrame(
        [
            ("a", JANUARY, 3, "c", 50),
            ("a", JANUARY, 1, "a", 40),
            ("a", JANUARY, 3, "b", 10),
            ("b", JANUARY, 1, "z", 999),
        ],
        OWNED,
    )
    wanted = spark.createDataFrame([("a", JANUARY, 50), ("a", JANUARY, 51), ("a", JANUARY, 101)], THRESHOLDS)

    def found(records: DataFrame) -> list[tuple[Any, ...]]:
        rows = records.transform(crossings(wanted)).collect()
        return sorted((row.threshold_bytes, row.total, row.event_us, row.internal_id) for row in rows)

    assert found(owned) == [(50, 50, 3, "b"), (51, 100, 3, "c")]


def test_a_record_without_internal_id_has_its_id_as_internal_id(spark: SparkSession, tmp_path: Path) -> None:
    history = History(spark, str(tmp_path), DATA_RECORDS)
    history.create()
    values = [data_record(id="x", internalId=None), data_record(id="y", internalId="i")]
    history.append(written(history, *values), {0: 2}, after={})
    always = Span(dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
    found = data_records(counted_records(history, always, CountedOffsets({0: 2}, {}))).collect()
    assert sorted(row.internal_id for row in found) == ["i", "x"]


def test_spark_and_postgresql_judge_thresholds_by_the_same_rule(spark: SparkSession, engine: Engine) -> None:
    totals = [0, 499, 500, 501, 2**62, None]
    pairs = spark.createDataFrame([(total, 500) for total in totals], "total long, threshold long")
    by_spark = pairs.select(is_reached(F.col("total"), F.col("threshold")).alias("reached")).collect()
    with engine.begin() as connection:
        asked = text("select is_reached(cast(:total as bigint), 500)")
        by_postgresql = [connection.scalars(asked, {"total": total}).one() for total in totals]
    assert [row.reached for row in by_spark] == by_postgresql
    assert {True, False, None} == set(by_postgresql)
