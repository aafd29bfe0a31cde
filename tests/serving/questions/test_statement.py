"""Which tables a statement names, and what is no question."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from duckdb import DuckDBPyConnection

from bytemeter.errors import BytemeterError
from serving.questions.asking import parser
from serving.questions.statement import named_tables


@pytest.fixture(scope="module")
def duckdb() -> Iterator[DuckDBPyConnection]:
    with parser() as connection:
        yield connection


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("select count(*) from devices", ["history.devices"]),
        ("from Game_Events join \"game-events\" using (event_id)", ["history.game-events", "history.game_events"]),
        ("select * from agreements, postgres.agreements, bytes", ["history.agreements", "postgres.agreements", "postgres.bytes"]),
        ("describe invalid.devices", ["invalid.devices"]),
        ("with mine as (select * from hours) select (select max(hour) from mine)", ["postgres.hours", "postgres.mine"]),
        ("select 'from bytes' -- from ledger", []),
        ("select * from information_schema.tables, other.history.devices", []),
        ("pivot devices on app in ('MAPS') using sum(bytes)", ["history.devices"]),
    ],
)  # fmt: skip
def test_a_name_is_a_feed_or_else_a_table_of_postgresql(
    duckdb: DuckDBPyConnection, statement: str, tables: list[str]
) -> None:
    assert [f"{table.schema}.{table.name}" for table in named_tables(duckdb, statement)] == tables


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("insert into devices select 1", "'insert into devices select 1' is no question; expected one SELECT"),
        ("copy devices to '/tmp/x'", "is no question; .*nothing can be changed here"),
        ("create\ntable mine as select 1" + " + 1" * 20, "'create table mine as select 1 [+] 1.*…' is no question"),
        ("attach '/tmp/x'", "is no question"),
        ("set enable_external_access = true", "is no question"),
        ("install httpfs", "is no question"),
        ("pragma enable_profiling", "is no question"),
        ("explain analyze copy (select 1) to '/tmp/x'", "is no question"),
        ("select 1; drop table devices", "is no question"),
        ("select 1; select 2", "2 statements were given, expected one"),
        ("", "0 statements were given, expected one"),
        ("selec 1", 'cannot be read: syntax error at or near "selec"; expected one SELECT'),
    ],
)
def test_what_is_no_question_is_refused_in_one_line(duckdb: DuckDBPyConnection, statement: str, complaint: str) -> None:
    with pytest.raises(BytemeterError, match=complaint) as error:
        named_tables(duckdb, statement)
    assert "\n" not in str(error.value)
