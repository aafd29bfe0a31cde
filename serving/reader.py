"""The login with which dashboards read: a member of ``bytemeter_reader``, which may read all and change nothing."""

from __future__ import annotations

import secrets

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from bytemeter.errors import BytemeterError
from bytemeter.postgres import one_line_errors

_STATEMENT_TIMEOUT = "60s"


def reader_login(engine: Engine, user: str | None = None) -> URL:
    """The database's URL with a login of its own for dashboards; its password is a new one each time.

    Args:
        user: the name of the login; by default one for the database.

    Raises:
        BytemeterError: the roles are missing, or the engine's user may not create one.
        TransientError: PostgreSQL could not be reached.
    """
    user, password = user or f"dashboards_of_{engine.url.database}", secrets.token_urlsafe(16)
    with one_line_errors(engine.url), engine.begin() as connection:
        if not _role_exists(connection, "bytemeter_reader"):
            raise BytemeterError("the database has no role bytemeter_reader; run `bytemeter migrate`")
        try:
            if not _role_exists(connection, user):
                _execute(connection, "create role %I in role bytemeter_reader", user)
            _execute(connection, "alter role %I login password %L", user, password)
            _execute(connection, "alter role %I set default_transaction_read_only = on", user)
            _execute(connection, "alter role %I set statement_timeout = %L", user, _STATEMENT_TIMEOUT)
            # Rows lie in the order of their windows: by index, a day is read faster than a scan reads a month.
            _execute(connection, "alter role %I set random_page_cost = 1.1", user)
        except ProgrammingError as error:
            raise BytemeterError(
                f"the user {engine.url.username} may not create the login {user} for the dashboards: "
                f"{str(error.orig).splitlines()[0]}; grant it CREATEROLE, or name a user that has it"
            ) from None
    return engine.url.set(username=user, password=password)


def _role_exists(connection: Connection, role: str) -> bool:
    return bool(connection.scalar(text("select count(*) from pg_roles where rolname = :role"), {"role": role}))


def _execute(connection: Connection, statement: str, *values: str) -> None:
    """Run a statement of a kind that takes no parameters; the server quotes the values into its text."""
    arguments = ", ".join(f":value_{n}" for n in range(len(values)))
    parameters = {f"value_{n}": value for n, value in enumerate(values)}
    quoted = connection.scalar(text(f"select format('{statement}', {arguments})"), parameters)
    connection.execute(text(str(quoted).replace(":", "\\:")))
