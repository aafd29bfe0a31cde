"""``bytemeter sql`` on a real history and a real database: what it answers, and that it can change and read nothing else."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from bytemeter.feeds import GAME_EVENTS
from bytemeter.postgres import database
from bytemeter.settings import Settings
from cli.main import main
from tests.buckets import FOLDER_AND_BUCKET
from tests.commands import endpoints
from tests.messages import game_event

Rows = Callable[..., list[tuple[Any, ...]]]
Ask = Callable[..., str]
AT_S = 1_763_720_000


@pytest.fixture
def counted(put: Callable[..., None], stream: Callable[..., None]) -> None:
    """Three events, one of them twice, and an invalid message."""
    events = [
        game_event(event_id=id_, event_type=type_, timestamp=AT_S)
        for id_, type_ in (("a", "join"), ("b", "join"), ("c", "buy"))
    ]
    put([*events, events[0], b"\x00not JSON"], topic="game-events")
    stream(GAME_EVENTS)


@pytest.fixture
def ask(place: Settings, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The output of the command in this process."""

    def answer(*arguments: str, settings: Settings = place) -> str:
        assert main([*endpoints(settings), "sql", *arguments]) == 0
        return capsys.readouterr().out

    return answer


@FOLDER_AND_BUCKET
def test_one_question_joins_the_history_with_postgresql(place: Settings, counted: None) -> None:
    statement = """
        select event_type, count(*) as received, any_value(value) as counted
        from game_events inner join event_counts on dimension = 'event_type' and id = event_type
        group by event_type order by event_type
    """
    # In a process of its own: see ``tests.buckets.Buckets``.
    asked = subprocess.run(
        [sys.executable, "-m", "cli", *endpoints(place), "sql", "-", "--format", "json"],
        input=statement, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert (asked.returncode, asked.stderr) == (0, "")
    assert json.loads(asked.stdout) == [
        {"event_type": "buy", "received": 1, "counted": 1},
        {"event_type": "join", "received": 3, "counted": 2},
    ]


def test_every_table_and_view_of_postgresql_can_be_read_exactly(
    place: Settings, counted: None, ask: Ask, engine: Engine, rows: Rows
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            r"""
            create table odd ("a ""b" text, n numeric, m numeric(8, 2), t timestamptz, j jsonb, x bytea, l bigint[], e text);
            insert into odd values (
                'line' || chr(10) || 'break, "quoted"', 12345678901234567890.123456, 12.5, 'infinity', '{"a": [1]}',
                '\x00ff', '{1,null}', ''
            );
            insert into odd (t) values ('2026-11-21 10:00:00.123456+01')
            """
        )
    odd = json.loads(ask("select * from odd order by t desc", "--format", "json"))
    assert odd == [
        {
            'a "b': 'line\nbreak, "quoted"', "n": "12345678901234567890.123456", "m": "12.50", "t": "infinity",
            "j": {"a": [1]}, "x": "\\x00ff", "l": [1, None], "e": "",
        },
        {**dict.fromkeys(('a "b', "n", "m", "j", "x", "l", "e")), "t": "2026-11-21 09:00:00.123456+00"},
    ]  # fmt: skip
    lines = ask("--tables").splitlines()
    assert {'history."game-events"', 'invalid."game-events"', "postgres.ledger", "postgres.feed_status"} <= set(lines)
    names = [line for line in lines if line.startswith("postgres.")]
    question = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in names)
    counts = dict(csv.reader(io.StringIO(ask(question, "--format", "csv"))))
    assert len(counts) > 50
    assert int(counts["postgres.ledger"]) == rows("select count(*) from ledger")[0][0]
    (payload,) = json.loads(ask("select payload, digest from invalid_events", "--format", "json"))
    assert payload["payload"] == "\\x" + b"\x00not JSON".hex()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("delete from postgres.user_metadata", "is no question"),
        ("copy (select * from devices) to '{file}'", "is no question"),
        ("attach '{file}'", "is no question"),
        ("select * from read_csv('{file}')", "Cannot access file .*; only the history and PostgreSQL can be asked"),
        ("select * from '{file}'", "Cannot access file"),
        ("select content from read_text('{file}')", "Cannot access file"),
        ("select * from glob('{file}')", "Cannot access file"),
        ("select * from query('copy (select 1) to ''{file}''')", "Expected a single SELECT statement"),
        ("select * from postgres_query('x', 'drop table ledger')", "postgres_query"),
        ("select nextval('last_event_position')", "last_event_position"),
        ("select * from settings", "no table or view 'settings'.*`bytemeter sql --tables` lists"),
        ("select * from history.phones", "no feed 'phones'; the feeds are devices"),
        ("select * from devices", "has no table devices yet; `bytemeter stream` writes the history"),
        ("select nothing from hours", "nothing.* not found in FROM"),
        ("select cast('x' as integer)", "Could not convert string 'x' to INT"),
    ],
)
def test_nothing_can_be_written_and_no_file_be_read(
    shared: Settings, statement: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nkept")
    assert main([*endpoints(shared), "sql", statement.format(file=secret)]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("bytemeter: ")
    assert re.search(complaint, line), line
    assert "kept" not in printed.out
    assert secret.read_text() == "a\nkept"
    with database(shared.require_database_url()).connect() as connection:
        assert connection.scalar(text("select count(*) from user_metadata")) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_login_that_is_no_reader_and_a_place_that_is_not_named_are_one_line(
    stored: Settings, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("create role no_reader_of_tests login password 'secret'"))
    url = make_url(stored.require_database_url()).set(username="no_reader_of_tests", password="secret")
    stranger = stored.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})
    try:
        assert main([*endpoints(stranger), "sql", "from ledger"]) == 1
        assert "the user no_reader_of_tests cannot read as bytemeter_reader" in capsys.readouterr().err
    finally:
        with engine.begin() as connection:
            connection.execute(text("drop role no_reader_of_tests"))
    assert main(["--history", stored.require_history(), "sql", "from ledger"]) == 1
    assert "BYTEMETER_DATABASE_URL is not set, but ledger is asked for" in capsys.readouterr().err
    assert main(["--database-url", stored.require_database_url(), "sql", "from devices"]) == 1
    assert "BYTEMETER_HISTORY is not set, but history.devices is asked for" in capsys.readouterr().err


def test_wrong_usage_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["select 1", "--tables"], ["select 1", "--format", "xml"]):
        assert main(["sql", *arguments]) == 2
        assert "Usage: bytemeter sql" in capsys.readouterr().err
