"""The case study's scenario has the same events whatever way its messages come."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_layer.monthly.job import MonthRecomputed
from batch_layer.months import Month
from bytemeter.settings import Settings
from tests.builders import utc
from tests.seeds import SEED

SCENARIO = json.loads((Path(__file__).parents[1] / "scenarios" / "mobile_case_study.json").read_text())
Rows = Callable[..., list[tuple[Any, ...]]]
Monthly = Callable[..., MonthRecomputed]


def value(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


AGREEMENT = value(SCENARIO["agreement"])
RECORDS = [value(record) for record in SCENARIO["data_records"]]
SHUFFLED = random.Random(SEED).sample(RECORDS, len(RECORDS))
JANUARY, NOW = Month(2020, 1), utc("2020-02-10")
EVENT_FIELDS = [*SCENARIO["expected_events"][0], "thresholdPercent", "thresholdBytes"]


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


def expected_fields(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: event[name] for name in EVENT_FIELDS} for event in events]


@pytest.mark.parametrize("way", WAYS)
def test_the_scenario_gives_its_events_whatever_way_it_comes(
    way: str, send_plans: Callable[..., None], monthly: Monthly, published: Callable[[], list[Any]], rows: Rows
) -> None:
    for agreements, records in WAYS[way]:
        send_plans(agreements, records)
    assert expected_fields(published()) == THRESHOLDS
    assert monthly(JANUARY, NOW).events == {"BILLING_PERIOD_CLOSED": 1}
    assert expected_fields(published()) == [*THRESHOLDS, CLOSED]
    assert monthly(JANUARY, NOW) == MonthRecomputed(0, (), 0, (), {})
    assert len(published()) == 4
    duplicates = sum(len(records) for _, records in WAYS[way]) - len(RECORDS)
    assert rows(
        "select received, counted, duplicate, invalid, unmatched from ledger where feed = 'data-records' and partition = 0"
    ) == [(len(RECORDS) + duplicates, len(RECORDS), duplicates, 0, 0)]


def test_one_record_per_micro_batch_gives_the_same_events(
    send_plans: Callable[..., None], place: Settings, monthly: Monthly, published: Callable[[], list[Any]]
) -> None:
    send_plans([AGREEMENT], [])
    send_plans([], RECORDS, settings=place.model_copy(update={"max_records_per_batch": 1}))
    assert expected_fields(published()) == THRESHOLDS
    monthly(JANUARY, NOW)
    assert expected_fields(published()) == [*THRESHOLDS, CLOSED]
