"""Data records are added up by MSISDN, without duplicates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from speed_layer.plans.records import Records, by_msisdn, msisdn_key

SCHEMA = pa.schema(
    {
        "partition": pa.int32(),
        "record_offset": pa.int64(),
        "event_us": pa.int64(),
        "id_hash": pa.binary(),
        "content_hash": pa.int64(),
        "msisdn": pa.string(),
        "internal_id": pa.string(),
        "bytes": pa.int64(),
    }
)
# Ids are few: so there are duplicates.
RECORD = st.fixed_dictionaries(
    {
        "msisdn": st.sampled_from(["1", "01", "12", "999999999999999"]),
        "event_us": st.integers(0, 3),
        "internal_id": st.sampled_from(["", "a", "b", "ba", "ż", "𝄞"]),
        "bytes": st.integers(0, 2**53),
        "id": st.integers(0, 9),
        "counted_before": st.booleans(),
        "behind": st.booleans(),
    }
)


def table(records: list[dict[str, Any]]) -> pa.Table:
    rows = [
        {"partition": 0, "content_hash": 0, **row, "record_offset": offset, "id_hash": row["id"].to_bytes(16, "big")}
        for offset, row in enumerate(records)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def rows_by_msisdn(totals: pa.Table) -> dict[str, dict[str, Any]]:
    rows = {row["msisdn"]: row for row in totals.to_pylist()}
    assert len(rows) == totals.num_rows
    return rows


@given(st.lists(RECORD))
def test_the_records_of_an_msisdn_are_added_up_with_the_latest_one(records: list[dict[str, Any]]) -> None:
    expected = {}
    for msisdn in {row["msisdn"] for row in records}:
        of_msisdn = [row for row in records if row["msisdn"] == msisdn]
        times = [row["event_us"] for row in of_msisdn]
        _, latest = max((row["event_us"], row["internal_id"].encode()) for row in of_msisdn)
        expected[msisdn] = {
            "msisdn": msisdn,
            "msisdn_key": msisdn_key(msisdn),
            "first_us": min(times),
            "last_us": max(times),
            "bytes": sum(row["bytes"] for row in of_msisdn),
            "latest_record": latest.decode(),
        }
    assert rows_by_msisdn(by_msisdn(table(records))) == expected


@given(st.lists(RECORD))
def test_duplicates_are_left_out_of_totals_and_records(records: list[dict[str, Any]]) -> None:
    """Duplicates of records in the same micro-batch, and of records that were counted before it; behind the horizon
    there are none."""
    rows = table(records)
    counted_before = {row["id"] for row in records if row["counted_before"]}
    first_index = {row["id"]: index for index, row in reversed(list(enumerate(records)))}
    duplicates = np.array(
        [
            not row["behind"] and (row["id"] in counted_before or first_index[row["id"]] != index)
            for index, row in enumerate(records)
        ],
        bool,
    )
    new = Records.of(rows).without(duplicates)
    expected = rows.filter(pa.array(~duplicates))
    assert rows_by_msisdn(new.totals) == rows_by_msisdn(by_msisdn(expected))
    for msisdns in ([], ["1"], ["12", "01", "7"]):
        chosen = [row for row in expected.to_pylist() if row["msisdn"] in msisdns]
        assert new.of(pa.array(msisdns, pa.string())).to_pylist() == chosen


def test_msisdns_that_differ_in_leading_zeros_have_different_keys() -> None:
    assert len({msisdn_key(msisdn) for msisdn in ("1", "01", "001", "10", "0" * 15, "9" * 15)}) == 6
