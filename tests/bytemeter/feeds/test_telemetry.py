"""Telemetry's feeds: event times in milliseconds, batches that say no time, and LOG events, which have no event id."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest

from bytemeter.feeds import TELEMETRY_BATCHES, TELEMETRY_UNIQUE
from bytemeter.parsing import parse
from tests.messages import messages

RECEIVED = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
RECEIVED_US = int(RECEIVED.timestamp()) * 1_000_000


def records(feed: Any, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    table = pa.table(
        {
            "partition": pa.array([0] * len(documents), pa.int32()),
            "offset": pa.array(range(len(documents)), pa.int64()),
            "value": pa.array([json.dumps(document).encode() for document in documents], pa.binary()),
            "timestamp": pa.array([RECEIVED] * len(documents), pa.timestamp("us", "UTC")),
        }
    )
    found: list[dict[str, Any]] = parse(feed, table).to_pylist()
    return found


@pytest.mark.parametrize(
    ("ets", "event_us", "reason"),
    [
        (1600545287123, 1600545287123000, None),
        (1600545287123.9994, 1600545287123999, None),
        (946684800000, 946684800000000, None),
        (946684799999, None, "ets before 2000"),
        (7258118399999.5, 7258118399999500, None),
        (7258118400000, None, "ets after 2200"),
        (1e300, None, "ets after 2200"),
        ("1600545287123", None, "ets is not a number"),
        (True, None, "ets is not a number"),
        (None, None, "missing ets"),
    ],
)
def test_an_event_time_is_a_number_of_milliseconds(ets: Any, event_us: int | None, reason: str | None) -> None:
    (row,) = records(TELEMETRY_UNIQUE, {"eid": "START", "ets": ets})
    assert (row["event_us"], row["reason"]) == (event_us, reason)


@pytest.mark.parametrize(
    ("times", "event_us"),
    [
        ({"ets": 1600545287123.5, "syncts": 1600545287999}, 1600545287123500),
        ({"ets": "yesterday", "syncts": 1600545287999}, 1600545287999000),
        ({"ets": -1, "syncts": 1e15}, RECEIVED_US),
        ({}, RECEIVED_US),
    ],
)
def test_a_batch_is_of_the_time_that_it_says_or_else_of_when_kafka_received_it(
    times: dict[str, Any], event_us: int
) -> None:
    (row,) = records(TELEMETRY_BATCHES, {"events": [], **times})
    assert (row["event_us"], row["reason"]) == (event_us, None)


def test_where_nobody_knows_when_kafka_received_a_batch_it_has_no_time() -> None:
    messages = pa.table({"partition": [0], "offset": [0], "value": [b'{"events":[]}']})
    (row,) = parse(TELEMETRY_BATCHES, messages).to_pylist()
    assert (row["event_us"], row["reason"]) == (None, None)


def test_empty_texts_of_clients_are_missing_ones() -> None:
    event = {"eid": "START", "ets": 1600545287123, "context": {"did": "", "channel": "c"}, "actor": {"id": ""}}
    (row,) = records(TELEMETRY_UNIQUE, event)
    assert (row["device"], row["channel"], row["actor"], row["reason"]) == (None, "c", None, None)


def test_a_duration_that_is_no_number_is_no_duration() -> None:
    found = records(
        TELEMETRY_UNIQUE,
        *({"eid": "END", "ets": 1600545287123, "edata": {"duration": duration}} for duration in (1.5, "PT5S", None)),
    )
    assert [row["duration"] for row in found] == [1.5, None, None]


def test_a_batch_of_more_events_than_fit_into_it_if_they_are_valid_is_invalid() -> None:
    values = [b'{"events":[%b]}' % b",".join([b"{}"] * events) for events in (50_000, 50_001)]
    found = parse(TELEMETRY_BATCHES, messages(*values)).column("reason").to_pylist()
    assert found == [None, "batch over 50000 events"]
