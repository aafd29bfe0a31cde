"""What the roles of the migrations may do: the writer runs every job, the reader sees all and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError

from batch_layer.hourly.job import HourlyJob
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.postgres import database
from bytemeter.settings import Settings
from tests.builders import agreement, record

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def log_in(place: Settings, rows: Rows) -> Iterator[Callable[[str], Settings]]:
    """Settings that log in as a user who has only the given role."""
    made: list[str] = []

    def as_one_with(role: str) -> Settings:
        user = f"{role}_of_test"
        rows(f"create role {user} login password 'secret' in role {role}; select 1")
        made.append(user)
        url = make_url(place.require_database_url()).set(username=user, password="secret")
        return place.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})

    yield as_one_with
    for user in made:
        rows(f"drop role {user}; select 1")


def test_the_writer_runs_the_jobs(
    log_in: Callable[[str], Settings],
    simulate: Callable[..., Any],
    put: Callable[..., None],
    stream: Callable[..., None],
    spark: Any,
    rows: Rows,
) -> None:
    writer = log_in("bytemeter_writer")
    sent = simulate(200, duplicates=0.05, invalid=0.05)
    put([agreement()], topic="agreements")
    put([record("1", 900, "2026-11-01T00:00:00Z")], topic="data-records")
    stream(DEVICES, AGREEMENTS, DATA_RECORDS, settings=writer)
    HourlyJob(spark, writer, DEVICES, wait_s=60).run()
    assert rows("select sum(value) from bytes_hourly where type = 'app_bytes_total'") == [(sent.valid_bytes,)]
    assert rows("select count(*) from threshold_events") == [(2,)]


def test_the_reader_sees_all_and_changes_nothing(log_in: Callable[[str], Settings], rows: Rows) -> None:
    engine = database(log_in("bytemeter_reader").require_database_url())
    relations = rows(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')"
    )
    with engine.connect() as connection:
        for (name,) in relations:
            connection.execute(text(f'select * from "{name}" limit 1'))
    forbidden = ("delete from bytes", "create table mine (id integer)", "insert into seen_segments (feed) values ('x')")
    for statement in forbidden:
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()
