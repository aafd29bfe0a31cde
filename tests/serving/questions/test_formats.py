"""An answer as a table, as CSV and as JSON: every type, and texts that could do harm in a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import TextIO

import duckdb
import pytest
from duckdb import DuckDBPyRelation

from serving.questions.formats import write_csv, write_json, write_table

ALL_TYPES = """
    select 9007199254740993::bigint as whole, 12345678901234567890.123456::decimal(38, 6) as money, 0.1::double as real,
        'nan'::double as nan, true as yes, '\\x00a'::blob as raw, timestamptz '2026-11-21 10:00:00+01' as at,
        'infinity'::timestamptz as never, [1, null] as list, {'a': 'x"y'} as nested, 'zażółć, "☃"' as text, '' as empty,
        null as nothing, 1 as whole
"""


def written(write: Callable[[DuckDBPyRelation, TextIO], None], statement: str) -> str:
    output = io.StringIO()
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        write(connection.sql(statement), output)
    return output.getvalue()


def test_csv_has_every_value_exactly() -> None:
    names, row = csv.reader(io.StringIO(written(write_csv, ALL_TYPES)))
    assert names[0] == names[-1] == "whole"
    assert row == [
        "9007199254740993", "12345678901234567890.123456", "0.1", "nan", "true", "\\x0061", "2026-11-21 09:00:00+00",
        "infinity", "[1, NULL]", "{'a': 'x\"y'}", 'zażółć, "☃"', "", "", "1",
    ]  # fmt: skip


def test_json_is_an_array_of_objects_in_which_decimals_are_texts() -> None:
    text = written(
        write_json, f"from ({ALL_TYPES}) union all select * replace (2 as whole, null as money) from ({ALL_TYPES})"
    )
    assert len(text.splitlines()) == 4
    first, second = json.loads(text)
    assert first == {
        "whole": 9007199254740993, "money": "12345678901234567890.123456", "real": 0.1, "nan": "nan", "yes": True,
        "raw": "\\x0061", "at": "2026-11-21 09:00:00+00", "never": "infinity", "list": [1, None],
        "nested": {"a": 'x"y'}, "text": 'zażółć, "☃"', "empty": "", "nothing": None, "whole_1": 1,
    }  # fmt: skip
    assert second["whole"] == 2
    assert second["money"] is None
    assert json.loads(written(write_json, "select 1 where false")) == []


def test_a_table_has_numbers_at_the_right_and_says_how_many_rows_there_are() -> None:
    statement = "select * from (values ('MAPS', 9), ('日本', 1234), (null, null)) as t (app, bytes)"
    assert written(write_table, statement) == (
        "app  | bytes\n"
        "-----+------\n"
        "MAPS |     9\n"
        "日本 |  1234\n"
        "     |\n"
        "(3 rows)\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("select 'a\x1b[31m' || chr(10) || 'b' as x", "a\\x1b[31m\\nb"),
        ("select repeat('long', 10000) as x", "long" * 24 + "lon…"),
        ("select range from range(1001)", "(the first 1,000 rows; --format csv writes all)"),
    ],
)
def test_a_table_stays_readable_whatever_is_in_it(statement: str, shown: str) -> None:
    assert shown in written(write_table, statement).splitlines()
