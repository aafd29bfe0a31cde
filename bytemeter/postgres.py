"""PostgreSQL: the driver's connections (SQLAlchemy), one-line errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from bytemeter.errors import TransientError
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


def database(url: str, *, patience_s: int | None = None, pool: int | None = None) -> Engine:
    """An engine for ``postgresql://user:password@host:port/db``.

    It connects when first used. Sessions are in UTC. A connection that is closed ends its session, and with it the
    session's advisory locks and settings. A connection that broke is not replaced by a new one: its session had locks,
    temporary tables and settings; using it again raises TransientError. Parameters of libpq in the URL hold, such as
    ``sslmode``. Errors show neither the parameters of a statement nor rows.

    Args:
        patience_s: how long to wait for a connection and for each statement, where somebody waits for the answer.
        pool: keep so many connections open and have no more, for sessions that hold nothing; by default none is kept.
    """
    session, times = _SESSION, {}
    if patience_s is not None:
        session += f" -c statement_timeout={patience_s}s"
        times = {"connect_timeout": patience_s, "tcp_user_timeout": 1_000 * patience_s}
    address = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(
        address,
        connect_args={
            **_CONNECTION,
            **times,
            "options": f"{session} {address.query.get('options', '')}".strip(),
            "cursor_factory": _DiscreetCursor,
        },
        hide_parameters=True,
        # Without a pool, closing a connection ends its session.
        **({"poolclass": NullPool} if pool is None else {"poolclass": QueuePool, "pool_size": pool, "max_overflow": 0}),
    )
    event.listen(engine, "begin", _refuse_replacement)
    return engine


def _refuse_replacement(connection: Connection) -> None:
    """SQLAlchemy would connect again by itself for the next transaction of a connection that broke."""
    if connection.invalidated:
        raise TransientError("the connection to PostgreSQL broke, and its session with it; start the work again")


class _DiscreetCursor(Cursor):
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
