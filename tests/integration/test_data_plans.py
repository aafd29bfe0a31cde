"""The case study's scenario, whatever way its messages come, and what happens to it later."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from batch_layer.monthly import MonthlyJob, MonthRecomputed
from batch_layer.months import Month
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.settings import Settings
from tests.integration import oracle

SCENARIO = json.loads((Path(__file__).parents[1] / "scenarios" / "mobile_case_study.json").read_text())
JANUARY = Month(2020, 1)
NOW = dt.datetime(2020, 2, 10, tzinfo=dt.UTC)

Rows = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., None]
Stream = Callable[..., None]
Monthly = Callable[..., MonthRecomputed]


def value(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


AGREEMENT = value(SCENARIO["agreement"])
RECORDS = [value(record) for record in SCENARIO["data_records"]]
SHUFFLED = random.Random(7).sample(RECORDS, len(RECORDS))
TELLS = [*SCENARIO["expected_events"][0], "thresholdPercent", "thresholdBytes"]


def reached(percent: int, day: int, total: int) -> dict[str, Any]:
    """The event before those that the scenario expects: so many percent of 5 GiB, by the record of a day."""
    return {
        **SCENARIO["expected_events"][0],
        "type": "DATA_PLAN_THRESHOLD_REACHED",
        "totalRecordedBytes": total,
        "latestRecordedAt": f"2020-01-{day:02d}T00:00:00+01:00",
        "latestInternalRecordId": SCENARIO["data_records"][day - 2]["internalId"],
        "thresholdPercent": percent,
        "thresholdBytes": 5368709120 * percent // 100,
    }


_EXCEEDED, _CLOSED = SCENARIO["expected_events"]
THRESHOLDS = [
    reached(50, 6, 3629124714),
    reached(80, 9, 4602242090),
    {**_EXCEEDED, "thresholdPercent": 100, "thresholdBytes": 5368709120},
]
CLOSED = {**_CLOSED, "thresholdPercent": None, "thresholdBytes": None}

Batch = tuple[list[bytes], list[bytes]]
WAYS: dict[str, list[Batch]] = {
    "one micro-batch": [([AGREEMENT], RECORDS)],
    "shuffled": [([AGREEMENT], SHUFFLED)],
    "every record twice": [([AGREEMENT], SHUFFLED * 2)],
    "agreement last": [([], SHUFFLED), ([AGREEMENT], [])],
}


@pytest.fixture
def monthly(spark: SparkSession, place: Settings) -> Monthly:
    """Run the monthly job."""

    def run(month: Month = JANUARY, *, now: dt.datetime = NOW, dry_run: bool = False) -> MonthRecomputed:
        return MonthlyJob(spark, place, month, now, dry_run=dry_run, wait_s=60).run()

    return run


@pytest.fixture
def send(put: Put, stream: Stream) -> Callable[..., None]:
    """Send agreements and records, and stream what is there."""

    def sent(agreements: list[bytes], records: list[bytes], *, settings: Settings | None = None) -> None:
        put(agreements, topic="agreements")
        put(records, topic="data-records")
        stream(AGREEMENTS, DATA_RECORDS, **({"settings": settings} if settings else {}))

    return sent


@pytest.fixture
def published(place: Settings) -> Callable[[], list[dict[str, Any]]]:
    """The messages on threshold-events, in order; all of the scenario have the same key."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(message.value) for message in oracle.received(place, "threshold-events")]

    return read


def told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: event[name] for name in TELLS} for event in events]


@pytest.mark.parametrize("way", WAYS)
def test_the_scenario_gives_its_events_whatever_way_it_comes(
    way: str, send: Callable[..., None], monthly: Monthly, published: Callable[[], list[Any]], rows: Rows
) -> None:
    for agreements, records in WAYS[way]:
        send(agreements, records)
    assert told(published()) == THRESHOLDS
    assert monthly().events == {"BILLING_PERIOD_CLOSED": 1}
    assert told(published()) == [*THRESHOLDS, CLOSED]
    assert monthly() == MonthRecomputed(0, (), 0, (), {})
    assert len(published()) == 4
    repeats = sum(len(records) for _, records in WAYS[way]) - len(RECORDS)
    assert rows(
        "select received, counted, duplicate, invalid, unmatched from ledger where feed = 'data-records' and partition = 0"
    ) == [(len(RECORDS) + repeats, len(RECORDS), repeats, 0, 0)]


def test_one_record_per_micro_batch_gives_the_same_events(
    send: Callable[..., None], place: Settings, monthly: Monthly, published: Callable[[], list[Any]]
) -> None:
    send([AGREEMENT], [])
    send([], RECORDS, settings=place.model_copy(update={"max_records_per_batch": 1}))
    assert told(published()) == THRESHOLDS
    monthly()
    assert told(published()) == [*THRESHOLDS, CLOSED]
