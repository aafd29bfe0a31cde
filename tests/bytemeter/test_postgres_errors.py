"""Errors of PostgreSQL in one line, known by their SQLSTATE: raised by the server itself."""

from __future__ import annotations

import pyarrow as pa
import pytest
from sqlalchemy import Engine, text

from bytemeter.errors import BytemeterError, TransientError, UnknownHostError
from bytemeter.postgres import database, one_line_errors
from speed_layer.postgres.copying import copy

RAISE = "do $$ begin raise exception 'in German or not' using errcode = '{code}'; end $$"


@pytest.mark.parametrize(
    "code",
    [
        "08006",
        "25006",
        "25P03",
        "40001",
        "40P01",
        "53100",
        "53200",
        "53300",
        "55P03",
        "57014",
        "57P01",
        "57P03",
        "58030",
    ],
)
def test_what_may_pass_is_an_outage(engine: Engine, code: str) -> None:
    with pytest.raises(TransientError, match="cannot do its work now: in German or not$"), one_line_errors(engine.url):
        with engine.begin() as connection:
            connection.execute(text(RAISE.format(code=code)))


@pytest.mark.parametrize("code", ["28000", "28P01", "3D000"])
def test_a_refused_login_is_none(engine: Engine, code: str) -> None:
    with pytest.raises(BytemeterError, match="refused the login: in German or not; check") as caught:
        with one_line_errors(engine.url), engine.begin() as connection:
            connection.execute(text(RAISE.format(code=code)))
    assert not isinstance(caught.value, TransientError)


def test_a_fault_of_ours_is_raised_as_it_is(engine: Engine) -> None:
    with pytest.raises(Exception, match="division by zero") as caught, one_line_errors(engine.url):
        with engine.begin() as connection:
            connection.execute(text("select 1 / 0"))
    assert not isinstance(caught.value, BytemeterError)


def test_a_full_disk_inside_copy_is_an_outage(engine: Engine) -> None:
    """COPY passes SQLAlchemy by: its errors are those of psycopg2."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                create function full_disk() returns trigger language plpgsql as
                $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
                create table on_full_disk (id bigint);
                create trigger full_disk before insert on on_full_disk for each row execute function full_disk();
            """)
        )
    with pytest.raises(TransientError, match="could not extend file"), one_line_errors(engine.url):
        with engine.begin() as connection:
            copy(connection, "on_full_disk", pa.table({"id": [1]}))


def test_a_server_that_has_become_a_standby_is_an_outage(engine: Engine) -> None:
    row = pa.table({"feed": ["x"], "partition": [0], "topic_id": ["y"], "next_offset": [0]})
    with engine.connect() as connection:
        connection.execute(text("set transaction read only"))
        with pytest.raises(TransientError, match="read-only transaction"), one_line_errors(engine.url):
            copy(connection, "ledger", row)


def test_an_unknown_host_is_told_apart_from_an_outage() -> None:
    engine = database("postgresql://u:p@no-such-host.invalid/db")
    with pytest.raises(UnknownHostError, match="PostgreSQL at no-such-host.invalid:5432/db cannot be reached"):
        with one_line_errors(engine.url):
            engine.connect()


def test_a_connection_that_broke_is_not_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(TransientError), one_line_errors(engine.url), connection.begin():
            connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        for _ in range(2):
            with pytest.raises(TransientError), one_line_errors(engine.url), connection.begin():
                connection.execute(text("select 1"))
