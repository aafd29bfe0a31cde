"""PostgreSQL: the driver's connections and locks (SQLAlchemy), JDBC options for the executors, one-line errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.postgres_errors import explained

# A server that has gone without a word, such as a machine that was switched off, is noticed after 25 s: by keepalives
# while this side waits for an answer, by tcp_user_timeout while it sends.
_CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "bytemeter",
}
# What a session may take, so that a process that was frozen holds no locks for ever. The longest statements are those
# of a migration, and a recompute that compares a month.
_SESSION = (
    "-c timezone=UTC -c statement_timeout=1h -c idle_in_transaction_session_timeout=2min"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)


def database(url: str) -> Engine:
    """An engine for ``postgresql://user:password@host:port/db``.

    It connects when first used. Sessions are in UTC. A connection that is closed ends its session, and with it the
    session's advisory locks and settings. A connection that broke is not replaced by a new one: its session had locks,
    temporary tables and settings; using it again raises TransientError.
    """
    parsed = make_url(url).set(drivername="postgresql+psycopg2")
    of_url = parsed.query.get("options", ())
    options = " ".join([_SESSION, *([of_url] if isinstance(of_url, str) else of_url)])
    engine = create_engine(
        parsed,
        connect_args={**_CONNECTION, "options": options},
        # Without a pool, closing a connection ends its session.
        poolclass=NullPool,
    )
    event.listen(engine, "begin", _refuse_replacement)
    return engine


def _refuse_replacement(connection: Connection) -> None:
    """SQLAlchemy would connect again by itself for the next transaction of a connection that broke."""
    if connection.invalidated:
        raise TransientError("the connection to PostgreSQL broke, and its session with it; start the work again")


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
        TransientError: the server cannot be reached, cannot write, or rolled back; the transaction can be repeated.
        BytemeterError: the login was refused, a right, table, schema or column is missing.
    """
    try:
        yield
    except (DBAPIError, psycopg2.Error) as error:
        translated = explained(url, error)
        if translated is None:
            raise
        raise translated from error
