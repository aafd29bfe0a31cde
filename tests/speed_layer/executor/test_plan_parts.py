"""Messages of agreements and data records into the parts that the driver counts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from bytemeter.feeds import DATA_RECORDS
from speed_layer.executor.blocks import ToParts
from speed_layer.executor.plans import agreement_parts, record_parts
from tests.messages import NOW_S, agreement_document, data_record, messages

CLOCK = DATA_RECORDS.clock_reason


def records(*values: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = record_parts(messages(*values))["records"].to_pylist()
    return rows


def test_a_record_without_an_internal_id_has_its_id_as_internal_id() -> None:
    assigned, bare = records(data_record(), data_record(id="x", internalId=..., recordedBytes=5))
    at_us = int(dt.datetime(2020, 1, 1, 23, tzinfo=dt.UTC).timestamp()) * 1_000_000
    same = {"event_us": at_us, "msisdn": "48917846822"}
    assert assigned.items() >= {**same, "internal_id": "i-1", "bytes": 825012938}.items()
    assert bare.items() >= {**same, "internal_id": "x", "bytes": 5}.items()
    assert bare["id_hash"] != assigned["id_hash"]


def test_content_in_which_duplicates_may_differ_is_only_the_internal_id() -> None:
    changed = records(
        data_record(), data_record(internalId="x"), data_record(recordedBytes=8), data_record(msisdn="49")
    )
    content, other_internal_id, other_bytes, other_msisdn = (row["content_hash"] for row in changed)
    assert content == other_internal_id
    assert len({content, other_bytes, other_msisdn}) == 3


def test_invalid_messages_keep_their_bytes() -> None:
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).isoformat(timespec="seconds")
    parts = record_parts(messages(b"{\xff", data_record(recordedAt=ahead)))
    assert parts["records"].num_rows == 0
    malformed, refused = parts["invalid"].to_pylist()
    assert malformed.items() >= {"reason": "not UTF-8", "payload": b"{\xff", "event_us": None}.items()
    assert refused["event_us"] == int(dt.datetime.fromisoformat(ahead).timestamp()) * 1_000_000


@pytest.mark.parametrize(("clock_h", "reasons"), [(-25, [CLOCK, CLOCK]), (0, [CLOCK]), (2, [])])
def test_a_record_is_refused_by_the_clock_of_the_executor_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, clock_h: int, reasons: list[str]
) -> None:
    """Behind, it refuses what is right and keeps its event time; ahead, it lets pass what it should refuse."""
    now = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    clock = now + dt.timedelta(hours=clock_h)
    monkeypatch.setattr("speed_layer.executor.plans.time.time_ns", lambda: int(clock.timestamp()) * 10**9)
    at = [now + dt.timedelta(hours=25), now]
    invalid = record_parts(messages(*(data_record(recordedAt=one.isoformat()) for one in at)))["invalid"].to_pylist()
    assert [row["reason"] for row in invalid] == reasons
    assert [row["event_us"] for row in invalid] == [int(one.timestamp()) * 10**6 for one in at[: len(reasons)]]


def test_agreements_have_their_instants_in_microseconds() -> None:
    parts = agreement_parts(
        messages(agreement_document(thresholds=[50], serviceEndAt="2020-03-01T00:00:00Z"), agreement_document(id=...))
    )
    (good,), (bad,) = parts["agreements"].to_pylist(), parts["invalid"].to_pylist()
    assert good == {
        "partition": 1,
        "record_offset": 0,
        "received_us": NOW_S * 1_000_000,
        "id": "0b12c601-9287-3f5c-a78c-df508fe0f889",
        "msisdn": "48917846822",
        "signed_us": 1_576_796_400_000_000,
        "start_us": 1_577_833_200_000_000,
        "end_us": 1_583_020_800_000_000,
        "effective_us": None,
        "zone": "Europe/Warsaw",
        "limit": 5368709120,
        "thresholds": [50],
        "anchor_day": None,
    }
    assert bad["reason"] == "missing id"


@pytest.mark.parametrize(("to_parts", "good"), [(record_parts, data_record()), (agreement_parts, agreement_document())])
def test_no_messages_have_the_columns_of_many(to_parts: ToParts, good: bytes) -> None:
    many, none = to_parts(messages(good, b"{")), to_parts(messages())
    assert {name: rows.schema for name, rows in many.items()} == {name: rows.schema for name, rows in none.items()}
