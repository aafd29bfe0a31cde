"""Messages of data plans as rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from speed_layer.executor.blocks import ToParts
from speed_layer.executor.plans import agreement_parts, record_parts
from tests.bytemeter.test_plan_parsing import agreement, record
from tests.speed_layer.executor.test_totals_parts import messages

AT_US = 1_577_919_600_000_000


def records(*values: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = record_parts(messages(*values))["records"].to_pylist()
    return rows


def test_a_record_without_a_number_of_its_own_is_told_by_its_id() -> None:
    numbered, bare = records(record(), record(id="x", internalId=..., recordedBytes=5))
    assert [(row["internal_id"], row["value"], row["event_us"], row["msisdn"]) for row in (numbered, bare)] == [
        ("i-1", 825012938, AT_US, "48917846822"),
        ("x", 5, AT_US, "48917846822"),
    ]
    assert bare["id_hash"] != numbered["id_hash"]


def test_the_content_is_what_a_repeat_must_be_equal_in() -> None:
    changed = records(record(), record(internalId="x"), record(recordedBytes=8), record(msisdn="49"))
    one, assigned, other_bytes, other_number = (row["content_hash"] for row in changed)
    assert one == assigned
    assert len({one, other_bytes, other_number}) == 3


def test_invalid_messages_keep_their_bytes() -> None:
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).isoformat(timespec="seconds")
    found = record_parts(messages(b"{\xff", record(recordedAt=ahead)))
    assert found["records"].num_rows == 0
    bad, refused = found["invalid"].to_pylist()
    assert (bad["reason"], bad["payload"], bad["event_us"]) == ("not UTF-8", b"{\xff", None)
    assert refused["event_us"] == int(dt.datetime.fromisoformat(ahead).timestamp()) * 1_000_000


def test_agreements_are_told_with_their_instants() -> None:
    found = agreement_parts(messages(agreement(thresholds=[50]), agreement(id=...)))
    (good,), (bad,) = found["agreements"].to_pylist(), found["invalid"].to_pylist()
    told = ("id", "msisdn", "signed_us", "start_us", "zone", "limit", "thresholds", "anchor_day")
    assert [good[name] for name in told] == [
        "0b12c601-9287-3f5c-a78c-df508fe0f889", "48917846822", 1_576_796_400_000_000, 1_577_833_200_000_000,
        "Europe/Warsaw", 5368709120, [50], None,
    ]  # fmt: skip
    assert bad["reason"] == "missing id"


@pytest.mark.parametrize(("to_parts", "good"), [(record_parts, record()), (agreement_parts, agreement())])
def test_no_messages_have_the_columns_of_many(to_parts: ToParts, good: bytes) -> None:
    many, none = to_parts(messages(good, b"{")), to_parts(messages())
    assert {name: rows.schema for name, rows in many.items()} == {name: rows.schema for name, rows in none.items()}
