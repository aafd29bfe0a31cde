"""The login with which a usage API reads: its own, made when it starts, and dropped when it ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import BytemeterError
from bytemeter.leases.owner import is_dead, this_process
from bytemeter.logs import logger
from bytemeter.postgres import database, one_line_errors
from serving.reader import execute, reader_login

_PREFIX = "usage_api_"
_PATIENCE_S = 10


@contextmanager
def own_login(url: str, timeout_s: int) -> Iterator[URL]:
    """The database's URL with a login that may read, and change nothing.

    A login that cannot write is used as it is. For one that can, another one is made, whose comment names this process;
    those of processes that are gone are dropped.

    Raises:
        BytemeterError: the tables are missing, or the URL's user may write, and may not create a login.
        TransientError: PostgreSQL could not be reached.
    """
    engine = database(url, patience_s=_PATIENCE_S)
    with one_line_errors(engine.url), engine.connect() as connection:
        only_reads = not connection.scalar(text("select has_table_privilege('ledger', 'INSERT')"))
    if only_reads:
        yield engine.url
        return
    name = _PREFIX + secrets.token_hex(4)
    with one_line_errors(engine.url), engine.begin() as connection:
        _drop_abandoned(connection)
    login = reader_login(engine, name, statement_timeout=f"{timeout_s}s")
    with one_line_errors(engine.url), engine.begin() as connection:
        execute(connection, "comment on role %I is %L", name, this_process())
    try:
        yield login
    finally:
        _drop_own(engine, name)


def _drop_own(engine: Engine, name: str) -> None:
    try:
        with one_line_errors(engine.url), engine.begin() as connection:
            _drop(connection, name)
    except BytemeterError as error:
        logger().warning("the login stays; the next start drops it", login=name, error=str(error))


def _drop_abandoned(connection: Connection) -> None:
    statement = "select rolname, shobj_description(oid, 'pg_authid') from pg_roles where starts_with(rolname, :prefix)"
    for name, owner in connection.execute(text(statement), {"prefix": _PREFIX}).all():
        if is_dead(owner or ""):
            _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    """Drop a login, unless another process does the same now, or this user may not."""
    with suppress(DBAPIError), connection.begin_nested():
        execute(connection, "drop role %I", name)
