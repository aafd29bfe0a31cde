"""PostgreSQL: the driver's connections and locks (SQLAlchemy), one-line errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from bytemeter.errors import BytemeterError, TransientError

_CONNECT_S = 10
# SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html
_MISSING = {"42P01": "table", "3F000": "schema", "42703": "column"}


def database(url: str) -> Engine:
    """An engine for ``postgresql://user:password@host:port/db``.

    It connects when first used. Sessions are in UTC. A connection that is closed ends its session, and with it the
    session's advisory locks and settings. Parameters of libpq in the URL hold, such as ``sslmode``. Errors show neither
    the parameters of a statement nor rows.
    """
    address = make_url(url).set(drivername="postgresql+psycopg2")
    return create_engine(
        address,
        connect_args={
            "connect_timeout": _CONNECT_S,
            "options": f"{address.query.get('options', '')} -c timezone=UTC".strip(),
            "application_name": "bytemeter",
            "cursor_factory": _DiscreetCursor,
        },
        hide_parameters=True,
        # Without a pool, closing a connection ends its session.
        poolclass=NullPool,
    )


class _DiscreetCursor(Cursor):  # type: ignore[misc]
    """A cursor whose errors have the server's message only: its details and its context quote rows."""

    def execute(self, *arguments: Any, **options: Any) -> None:
        """Run a statement."""
        with _without_details():
            super().execute(*arguments, **options)

    def executemany(self, *arguments: Any, **options: Any) -> None:
        """Run a statement several times."""
        with _without_details():
            super().executemany(*arguments, **options)

    def copy_expert(self, *arguments: Any, **options: Any) -> None:
        """Run a COPY."""
        with _without_details():
            super().copy_expert(*arguments, **options)


@contextmanager
def _without_details() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        if error.pgcode and error.args:
            error.args = (str(error.args[0]).partition("\n")[0],)
        raise


def try_lock(connection: Connection, name: str) -> bool:
    """Take the advisory lock of this name; False if another session holds it. Does not wait.

    A lock excludes the sessions of one database that ask for the same name. The session keeps it, whether its
    transactions commit or roll back, until its connection is closed (see ``database``) or its process dies. The server
    releases it a moment later.

    Args:
        name: for example ``bytemeter/live/devices``.
    """
    statement = text("select pg_try_advisory_lock(hashtextextended(:name, 0))")
    return bool(connection.scalar(statement, {"name": name}))


@contextmanager
def one_line_errors(url: URL) -> Iterator[None]:
    """Translate errors of the database driver into errors of one line that say what to do.

    Raises:
        TransientError: the server cannot be reached or broke the connection.
        BytemeterError: a table, schema, column, database or role is missing, or the login was refused.
    """
    where = f"PostgreSQL at {url.host}:{url.port or 5432}/{url.database}"
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        reason = _first_line(error)
        if "authentication failed" in reason or "does not exist" in reason:
            raise BytemeterError(f"{where} refused the login: {reason}; check BYTEMETER_DATABASE_URL") from error
        raise TransientError(
            f"{where} cannot be reached: {reason}; is it up, and BYTEMETER_DATABASE_URL right?"
        ) from error
    except ProgrammingError as error:
        missing = _MISSING.get(getattr(error.orig, "pgcode", ""))
        if missing is None:
            raise
        raise BytemeterError(
            f"{where}: a {missing} is missing: {_first_line(error)}; run `bytemeter migrate`"
        ) from error


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines() or ["no message"]
    return lines[0].removeprefix("ERROR:").strip()
