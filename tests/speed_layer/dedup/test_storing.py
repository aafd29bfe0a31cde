"""Generations are made and dropped by the role of the jobs, which may not make tables otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from bytemeter.postgres import database
from bytemeter.settings import Settings
from tests.identities import HORIZON_H, Process, Record

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def log_in(place: Settings, rows: Rows) -> Iterator[Callable[[str], Engine]]:
    """The test's database, for a login that has only the given role."""
    made: list[str] = []

    def as_one_with(role: str) -> Engine:
        user = f"{role}_of_ids"
        rows(f"create role {user} login password 'secret' in role {role}; select 1")
        made.append(user)
        url = make_url(place.require_database_url()).set(username=user, password="secret")
        return database(url.render_as_string(hide_password=False))

    yield as_one_with
    for user in made:
        rows(f"drop role {user}; select 1")


def test_the_writer_makes_generations_and_drops_them(log_in: Callable[[str], Engine], rows: Rows) -> None:
    process = Process(log_in("bytemeter_writer"))
    for hour in range(0, 3 * HORIZON_H, 3):
        assert not process.count(*(Record(n, hour) for n in range(100))).duplicate.any()
    assert process.count(*(Record(n, 3 * HORIZON_H - 3) for n in range(100))).duplicate.all()
    process.end()
    generations = {generation for (generation,) in rows("select generation from seen_generations")}
    tables = rows("select substr(tablename, 10)::int from pg_tables where tablename like 'seen\\_ids\\_%'")
    assert {generation for (generation,) in tables} == generations
    assert max(generations) == 3 * HORIZON_H / 3
    assert min(generations) > 5


def test_the_reader_makes_and_drops_none(log_in: Callable[[str], Engine]) -> None:
    reader = log_in("bytemeter_reader")
    for call in ("seen_generation('devices', 7)", "drop_seen_generation(1)"):
        with reader.connect() as connection, pytest.raises(ProgrammingError, match="permission denied for function"):
            connection.execute(text(f"select {call}"))
