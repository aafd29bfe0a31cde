"""Data records by number, without repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from speed_layer.plans.records import Records, by_number, number

SCHEMA = pa.schema(
    {
        "partition": pa.int32(),
        "record_offset": pa.int64(),
        "event_us": pa.int64(),
        "id_hash": pa.binary(),
        "content_hash": pa.int64(),
        "msisdn": pa.string(),
        "internal_id": pa.string(),
        "value": pa.int64(),
    }
)
# Ids are few, so that some come again.
RECORD = st.fixed_dictionaries(
    {
        "msisdn": st.sampled_from(["1", "01", "12", "999999999999999"]),
        "event_us": st.integers(0, 3),
        "internal_id": st.sampled_from(["", "a", "b", "ba", "ż", "𝄞"]),
        "value": st.integers(0, 2**53),
        "id": st.integers(0, 9),
        "counted_before": st.booleans(),
    }
)


def table(told: list[dict[str, Any]]) -> pa.Table:
    rows = [
        {"partition": 0, "content_hash": 0, **row, "record_offset": offset, "id_hash": row["id"].to_bytes(16, "big")}
        for offset, row in enumerate(told)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def by_msisdn(totals: pa.Table) -> dict[str, dict[str, Any]]:
    found = {row["msisdn"]: row for row in totals.to_pylist()}
    assert len(found) == totals.num_rows
    return found


@given(st.lists(RECORD))
def test_records_of_a_number_are_added_up_and_the_last_is_told(told: list[dict[str, Any]]) -> None:
    expected = {}
    for msisdn in {row["msisdn"] for row in told}:
        of_number = [row for row in told if row["msisdn"] == msisdn]
        times = [row["event_us"] for row in of_number]
        _, latest = max((row["event_us"], row["internal_id"].encode()) for row in of_number)
        expected[msisdn] = {
            "msisdn": msisdn,
            "number": number(msisdn),
            "first_us": min(times),
            "last_us": max(times),
            "bytes": sum(row["value"] for row in of_number),
            "latest": latest.decode(),
        }
    assert by_msisdn(by_number(table(told))) == expected


@given(st.lists(RECORD))
def test_those_that_are_no_repeats_are_the_same_however_repeats_were_told(told: list[dict[str, Any]]) -> None:
    """Some come again in the micro-batch itself; of an id that was counted before it all are repeats."""
    rows = table(told)
    before = {row["id"] for row in told if row["counted_before"]}
    firsts = {row["id"]: at for at, row in reversed(list(enumerate(told)))}
    repeats = np.array([row["id"] in before or firsts[row["id"]] != at for at, row in enumerate(told)], bool)
    new = Records.of(rows).without(repeats)
    expected = rows.filter(pa.array(~repeats))
    assert by_msisdn(new.totals) == by_msisdn(by_number(expected))
    for msisdns in ([], ["1"], ["12", "01", "7"]):
        those = [row for row in expected.to_pylist() if row["msisdn"] in msisdns]
        assert new.of(pa.array(msisdns, pa.string())).to_pylist() == those


def test_leading_zeros_make_other_numbers() -> None:
    assert len({number(msisdn) for msisdn in ("1", "01", "001", "10", "0" * 15, "9" * 15)}) == 6
