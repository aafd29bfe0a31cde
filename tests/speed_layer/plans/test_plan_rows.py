"""Messages of data plans as rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_layer.blocks import ToParts
from speed_layer.plans.rows import agreement_parts, by_number, number, record_parts
from tests.bytemeter.test_plan_parsing import agreement, record
from tests.speed_layer.usage.test_usage_rows import messages

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


RECORD = st.fixed_dictionaries(
    {
        "msisdn": st.sampled_from(["1", "01", "12", "999999999999999"]),
        "event_us": st.integers(0, 3),
        "internal_id": st.sampled_from(["", "a", "b", "ba", "ż", "𝄞"]),
        "value": st.integers(0, 2**53),
    }
)


@given(st.lists(RECORD))
def test_records_of_a_number_are_added_up_and_the_last_is_told(told: list[dict[str, Any]]) -> None:
    expected = {}
    for msisdn in {row["msisdn"] for row in told}:
        of_number = [row for row in told if row["msisdn"] == msisdn]
        times = [row["event_us"] for row in of_number]
        _, latest = max((row["event_us"], row["internal_id"].encode()) for row in of_number)
        total = sum(row["value"] for row in of_number)
        expected[msisdn] = (number(msisdn), min(times), max(times), total, latest.decode())
    schema = pa.schema({"msisdn": pa.string(), "event_us": pa.int64(), "internal_id": pa.string(), "value": pa.int64()})
    found = by_number(pa.Table.from_pylist(told, schema)).to_pylist()
    columns = ("number", "first_us", "last_us", "bytes", "latest")
    assert {row["msisdn"]: tuple(row[name] for name in columns) for row in found} == expected
    assert len(found) == len(expected)


def test_leading_zeros_make_other_numbers() -> None:
    assert len({number(msisdn) for msisdn in ("1", "01", "001", "10", "0" * 15, "9" * 15)}) == 6


@pytest.mark.parametrize(("to_parts", "good"), [(record_parts, record()), (agreement_parts, agreement())])
def test_no_messages_have_the_columns_of_many(to_parts: ToParts, good: bytes) -> None:
    many, none = to_parts(messages(good, b"{")), to_parts(messages())
    assert {name: rows.schema for name, rows in many.items()} == {name: rows.schema for name, rows in none.items()}
