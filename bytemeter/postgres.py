"""PostgreSQL: the driver's connections and locks (SQLAlchemy), JDBC options for the executors, one-line errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit, urlunsplit

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
    session's advisory locks and settings.
    """
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        connect_args={
            "connect_timeout": _CONNECT_S,
            "options": "-c timezone=UTC",
            "application_name": "bytemeter",
        },
        # Without a pool, closing a connection ends its session.
        poolclass=NullPool,
    )


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


def url_from_jdbc(jdbc_url: str) -> str:
    """Convert ``jdbc:postgresql://host:port/db?user=U&password=P`` to ``postgresql://U:P@host:port/db``.

    Raises:
        BytemeterError: the URL does not have this form.
    """
    parts = urlsplit(jdbc_url.removeprefix("jdbc:"))
    if not jdbc_url.startswith("jdbc:postgresql://") or not parts.path.strip("/"):
        raise BytemeterError(
            "the JDBC URL does not have the form jdbc:postgresql://HOST:PORT/DB?user=USER&password=PASSWORD; correct it"
        )
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    bare = make_url(urlunsplit(("postgresql", parts.netloc, parts.path, "", "")))
    url = bare.set(
        username=query.pop("user", bare.username), password=query.pop("password", bare.password), query=query
    )
    return url.render_as_string(hide_password=False)


def jdbc_options(url: str) -> dict[str, str]:
    """Spark's JDBC options for connecting to the database; the caller adds the table."""
    parsed = make_url(url)
    return {
        "url": f"jdbc:postgresql://{parsed.host}:{parsed.port or 5432}/{parsed.database}",
        "driver": "org.postgresql.Driver",
        "user": parsed.username or "",
        "password": parsed.password or "",
        "reWriteBatchedInserts": "true",
        "ApplicationName": "bytemeter-executor",
        "batchsize": "10000",
    }


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
