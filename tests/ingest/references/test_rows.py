"""Rows of CSV and parquet files, and the reasons for which rows are left out."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bytemeter.errors import BytemeterError
from ingest.references.rows import read_rows


def test_a_csv_row_is_its_id_and_its_other_cells(tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_bytes(
        b"\xef\xbb\xbfid,state,spec:json\r\n"
        b'd1,"Karna\ntaka","{""os"": ""Android"", ""n"": [1]}"\n'
        + "d2,,\nżółć,Goa,\n".encode()
    )  # fmt: skip
    rows = [(row.place, row.id, json.loads(row.data)) for row in read_rows(file, "id")]
    assert rows == [
        (2, "d1", {"state": "Karna\ntaka", "spec": {"os": "Android", "n": [1]}}),
        (4, "d2", {}),
        (5, "żółć", {"state": "Goa"}),
    ]


def test_a_bad_row_costs_itself_alone(tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    bad = [
        b"",
        b",Goa,",
        b"d,Goa",
        b"d,Goa,{",
        b"d,\xff,",
        b"d\x00,Goa,",
        b'd,Goa,"""\\u0000"""',
        b"x" * 513 + b",,",
        b'd,"a"b,',
    ]
    file.write_bytes(b"\n".join([b"id,state,spec:json", b"first,Goa,", *bad, b"last,Goa,", b""]))
    rows = list(read_rows(file, "id"))
    assert [row.id for row in rows if row.id is not None] == ["first", "last"]
    assert {row.place: row.data for row in rows if row.id is None} == {
        4: "no id",
        5: "2 cells, expected 3",
        6: "spec:json is not JSON",
        7: "NUL, or not UTF-8",
        8: "NUL, or not UTF-8",
        9: "NUL, or not UTF-8",
        10: "an id over 512 characters",
        11: "not CSV: ',' expected after '\"'",
    }


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    at = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
    columns = {
        "code": ["a", None, "b"],
        "n": pa.array([2**53 + 1, 1, None]),
        "price": pa.array([Decimal("1.50"), None, None], pa.decimal128(10, 2)),
        "at": [at, None, None],
        "tags": [["x", "y"], None, None],
        "spec": [{"os": "Android"}, None, {"os": None}],
        "bad": pa.array([None, None, b"\xff"], pa.binary()),
    }
    pq.write_table(pa.table(columns), tmp_path / "file")
    first, second, third = read_rows(tmp_path / "file", "code")
    assert json.loads(first.data) == {
        "n": 2**53 + 1, "price": "1.50", "at": "2026-11-21T10:00:00+00:00", "tags": ["x", "y"], "spec": {"os": "Android"},
    }  # fmt: skip
    assert (second.place, second.id, second.data) == (2, None, "no id")
    assert (third.id, third.data) == (None, "not JSON: a value of bytes")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read: .*No such file.*; name a CSV or a parquet file"),
        (b"", "is empty; expected a line of names"),
        (b"code,state\na,b\n", "has the columns code, state; expected each once, and one named 'id'.*--key"),
        (b"id,id\na,b\n", "has the columns id, id"),
        (b"PAR1nonsense", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BytemeterError, match=complaint) as error:
        list(read_rows(file, "id"))
    assert "\n" not in str(error.value)
