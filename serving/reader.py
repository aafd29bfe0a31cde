"""Logins with which dashboards and the usage API read: members of ``bytemeter_reader``, who read all, change nothing.

What its sessions cannot lift: they have no right to write, not even temporary tables, and there are only so many of
them. ``statement_timeout`` and ``default_transaction_read_only`` are defaults: they end slow charts, but PostgreSQL
lets each session, and each role for its later sessions, set them otherwise.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import encrypt_password
from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from bytemeter.errors import BytemeterError, first_line
from bytemeter.postgres import database, one_line_errors

_READER = "bytemeter_reader"
_STATEMENT_TIMEOUT = "60s"
# Superset's threads, one connection each, and a few more.
_MOST_CONNECTIONS = "20"
_MOST_TEMPORARY_FILES = "4GB"


def reader_login(engine: Engine, user: str | None = None, *, statement_timeout: str = _STATEMENT_TIMEOUT) -> URL:
    """The database's URL with a login of its own that reads; its password is a new one each time.

    Args:
        user: the name of the login; by default one for the dashboards of the database.
        statement_timeout: of its sessions, e.g. ``60s``.

    Raises:
        BytemeterError: the roles are missing, or the engine's user may not create one.
        TransientError: PostgreSQL could not be reached.
    """
    if "sslpassword" in engine.url.query:
        raise BytemeterError(
            "the database's URL has sslpassword, which Superset would show; name a key without a passphrase in sslkey"
        )
    user, password = user or f"dashboards_of_{engine.url.database}", secrets.token_urlsafe(16)
    with one_line_errors(engine.url), engine.begin() as connection:
        if not _role_exists(connection, "bytemeter_reader"):
            raise BytemeterError("the database has no role bytemeter_reader; run `bytemeter migrate`")
        try:
            if not _role_exists(connection, user):
                execute(connection, "create role %I in role bytemeter_reader", user)
            execute(connection, "alter role %I login password %L", user, _encrypted(connection, user, password))
            _limit(connection, user, statement_timeout)
        except ProgrammingError as error:
            raise BytemeterError(
                f"the user {engine.url.username} may not create the login {user} that reads: "
                f"{first_line(error.orig)}; grant it CREATEROLE, or name a user that has it"
            ) from None
    return engine.url.set(username=user, password=password)


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A session with the rights of a reader only, whoever the login is: one snapshot, statements of at most a minute.

    Raises:
        BytemeterError: the login is no member of ``bytemeter_reader``, or a statement names what is not there.
        TransientError: PostgreSQL cannot be reached, or a statement took longer than a minute.
    """
    engine = database(url)
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ")
    with one_line_errors(engine.url), snapshot.connect() as connection:
        _become_reader(connection, engine.url.username)
        yield connection


def _become_reader(connection: Connection, user: str | None) -> None:
    """Give a session the rights of a reader and no other, and begin a transaction that only reads."""
    try:
        connection.execute(text(f"set role {_READER}"))
    except DBAPIError as error:
        raise BytemeterError(
            f"the user {user} cannot read as {_READER}: {first_line(error.orig)}; "
            f"run `bytemeter migrate`, or grant {_READER} to the user"
        ) from None
    connection.execute(text("set transaction read only"))
    connection.execute(text(f"set statement_timeout = '{_STATEMENT_TIMEOUT}'"))


def _limit(connection: Connection, user: str, statement_timeout: str) -> None:
    """Set what sessions of the login begin with, whatever it has set for itself, and what holds for all of them."""
    execute(connection, "alter role %I reset all", user)
    execute(connection, f"alter role %I connection limit {_MOST_CONNECTIONS}", user)
    execute(connection, "alter role %I set default_transaction_read_only = on", user)
    execute(connection, "alter role %I set statement_timeout = %L", user, statement_timeout)
    # Rows lie in the order of their windows: by index, a day is read faster than a scan reads a month.
    execute(connection, "alter role %I set random_page_cost = 1.1", user)
    # Only a superuser may set it, and lift it: sorts and joins of its queries do not fill the disk.
    if connection.scalar(text("select rolsuper from pg_roles where rolname = current_user")):
        execute(connection, "alter role %I set temp_file_limit = %L", user, _MOST_TEMPORARY_FILES)


def _encrypted(connection: Connection, user: str, password: str) -> str:
    """The password as the server stores it: the password itself reaches neither a statement nor the server's log."""
    return str(encrypt_password(password, user, connection.connection.driver_connection))


def _role_exists(connection: Connection, role: str) -> bool:
    return bool(connection.scalar(text("select count(*) from pg_roles where rolname = :role"), {"role": role}))


def execute(connection: Connection, statement: str, *values: str) -> None:
    """Run a statement of a kind that takes no parameters; the server quotes the values into its text."""
    arguments = ", ".join(f":value_{n}" for n in range(len(values)))
    parameters = {f"value_{n}": value for n, value in enumerate(values)}
    quoted = connection.scalar(text(f"select format('{statement}', {arguments})"), parameters)
    connection.execute(text(str(quoted).replace(":", "\\:")))
