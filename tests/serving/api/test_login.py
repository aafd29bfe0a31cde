"""The login of a usage API: it reads, changes nothing, and is gone afterwards."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from bytemeter.leases.owner import this_process
from bytemeter.postgres import database
from bytemeter.settings import Settings
from serving.api.login import own_login
from serving.reader import execute

LOGINS = text("select rolname from pg_roles where starts_with(rolname, 'usage_api_')")


def opened(url: URL) -> Engine:
    return database(url.render_as_string(hide_password=False))


def test_it_reads_and_cannot_write_and_is_dropped_at_the_end(stored: Settings, engine: Engine) -> None:
    host, pid, _, where = this_process().split()
    with engine.begin() as connection:
        # Of an earlier process, with the same number.
        connection.execute(text("create role usage_api_gone"))
        execute(connection, "comment on role %I is %L", "usage_api_gone", f"{host} {pid} 0 {where}")
    with own_login(stored.require_database_url(), 3) as login:
        with opened(login).connect() as connection:
            assert connection.scalar(text("select count(*) from ledger")) == 0
            for statement in (
                "insert into user_metadata values ('a', 'b', 'c', 1)",
                "update last_event_position set position = 9",
            ):
                with pytest.raises(DBAPIError, match="read-only|permission denied"), connection.begin_nested():
                    connection.execute(text(statement))
            connection.rollback()
            connection.execute(text("set default_transaction_read_only = off"))
            connection.commit()
            with pytest.raises(DBAPIError, match="permission denied"), connection.begin_nested():
                connection.execute(text("delete from threshold_events"))
            connection.rollback()
        with engine.connect() as connection:
            setting = connection.scalar(
                text("select array_to_string(rolconfig, ',') from pg_roles where rolname = :name"),
                {"name": login.username},
            )
            assert "statement_timeout=3s" in str(setting)
        # One that cannot write is used as it is.
        with own_login(login.render_as_string(hide_password=False), 3) as same:
            assert same.username == login.username
    with engine.connect() as connection:
        left = set(connection.scalars(LOGINS))
    assert not left & {login.username, "usage_api_gone"}
