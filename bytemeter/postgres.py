"""PostgreSQL from both sides: SQLAlchemy on the driver, JDBC on the executors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit, urlunsplit

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from bytemeter.errors import BytemeterError, TransientError

_CONNECT_S = 10
_MISSING = {"42P01": "table", "3F000": "schema", "42703": "column"}


def database(url: str) -> Engine:
    """An engine for ``postgresql://user:password@host:port/db``; connects when first used, in UTC."""
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        connect_args={
            "connect_timeout": _CONNECT_S,
            "options": "-c timezone=UTC",
            "application_name": "bytemeter",
        },
        # A closed connection is closed: session locks and settings end with it.
        poolclass=NullPool,
    )


def url_from_jdbc(jdbc_url: str) -> str:
    """``jdbc:postgresql://host:port/db?user=U&password=P`` as the URL that settings hold.

    Raises:
        BytemeterError: it is no such URL.
    """
    parts = urlsplit(jdbc_url.removeprefix("jdbc:"))
    if not jdbc_url.startswith("jdbc:postgresql://") or not parts.path.strip("/"):
        raise BytemeterError(
            "the JDBC URL is not jdbc:postgresql://HOST:PORT/DB?user=USER&password=PASSWORD; correct it"
        )
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    bare = make_url(urlunsplit(("postgresql", parts.netloc, parts.path, "", "")))
    url = bare.set(
        username=query.pop("user", bare.username), password=query.pop("password", bare.password), query=query
    )
    return url.render_as_string(hide_password=False)


def jdbc_options(url: str) -> dict[str, str]:
    """Spark's JDBC options for the database; table and mode are up to the caller."""
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
    """Turn the driver's errors into ours: what could not be reached or is missing, and what to do.

    Raises:
        TransientError: the server is not reachable or broke the connection.
        BytemeterError: a table or role is missing, or the login was refused.
    """
    where = f"PostgreSQL at {url.host}:{url.port or 5432}/{url.database}"
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        told = _first_line(error)
        if "authentication failed" in told or "does not exist" in told:
            raise BytemeterError(f"{where} refused the login: {told}; check BYTEMETER_DATABASE_URL") from error
        raise TransientError(
            f"{where} cannot be reached: {told}; is it up, and BYTEMETER_DATABASE_URL right?"
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
