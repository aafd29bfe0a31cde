"""What an error of PostgreSQL means, by its SQLSTATE: an outage to wait for, a refusal, or a fault of ours."""

from __future__ import annotations

import psycopg2
from psycopg2 import InterfaceError, OperationalError
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import BytemeterError, TransientError, UnknownHostError, first_line
from bytemeter.hosts import is_unknown

# SQLSTATE classes and codes, https://www.postgresql.org/docs/current/errcodes-appendix.html
_OUTAGES = (
    "08",  # connection exception
    "40",  # serialization failure, deadlock: the transaction was rolled back, and can be repeated
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "57P",  # administrator's shutdown, crash, start or recovery
    "58",  # system error, such as an input or output error
)
_OUTAGE_CODES = {
    "25006",  # read-only transaction: the server has become a standby
    "25P03",  # idle-in-transaction time-out: this process was frozen
    "25P04",  # transaction time-out
    "55P03",  # lock not available within lock_timeout
    "57014",  # statement time-out
}
_REFUSALS = ("28", "3D000")  # invalid authorization; no such database
_MISSING = {"42P01": "table", "3F000": "schema", "42703": "column", "42883": "function"}
_INSUFFICIENT_PRIVILEGE = "42501"
# libpq gives no SQLSTATE for a connection that the server refused (PostgreSQL 18), only the server's message.
_REFUSED_LOGIN = ("authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted to log in")


def explained(url: URL, error: DBAPIError | psycopg2.Error) -> BytemeterError | None:
    """The error as one line that says what to do; None if it is none that a user can do something about.

    Args:
        url: of the database.
        error: SQLAlchemy's or psycopg2's own.

    Returns:
        TransientError: the server cannot be reached, cannot write, or has rolled back; the transaction can be repeated.
        UnknownHostError: the host name does not exist.
        BytemeterError: the login was refused, a right, table, schema, column or function is missing.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "pgcode", None) or ""
    where, reason = (
        f"PostgreSQL at {url.host}:{url.port or 5432}/{url.database}",
        first_line(cause).removeprefix("ERROR:").strip(),
    )
    if code in _MISSING:
        return BytemeterError(f"{where}: a {_MISSING[code]} is missing: {reason}; run `bytemeter migrate`")
    if code == _INSUFFICIENT_PRIVILEGE:
        return BytemeterError(
            f"{where}: the user {url.username} may not do this: {reason}; grant it bytemeter_writer, "
            "or let the owner of the tables run the command"
        )
    if code.startswith(_REFUSALS) or (not code and any(text in reason for text in _REFUSED_LOGIN)):
        return BytemeterError(f"{where} refused the login: {reason}; check BYTEMETER_DATABASE_URL")
    if is_outage(code):
        return TransientError(f"{where} cannot do its work now: {reason}")
    if code or not isinstance(cause, OperationalError | InterfaceError):
        return None
    remedy = "is it up, and BYTEMETER_DATABASE_URL right?"
    unknown = url.host is not None and is_unknown(url.host)
    return (UnknownHostError if unknown else TransientError)(f"{where} cannot be reached: {reason}; {remedy}")


def is_outage(state: str) -> bool:
    """Whether an error of this SQLSTATE may pass: the transaction was rolled back, and can be repeated later."""
    return state.startswith(_OUTAGES) or state in _OUTAGE_CODES
