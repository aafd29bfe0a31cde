"""Asks DuckDB a question over the tables that it names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from bytemeter.errors import BytemeterError, first_line
from bytemeter.settings import Settings
from serving.questions import history, postgres
from serving.questions.statement import HISTORY, INVALID, POSTGRES, Named, named_tables

_LISTS = "; `bytemeter sql --tables` lists what can be asked"
# Nothing is loaded or downloaded, and nothing of this process can be named in a statement.
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "enable_external_access": "false",
}


@contextmanager
def asked(settings: Settings, statement: str) -> Iterator[DuckDBPyRelation]:
    """The answer to one question, as a relation that is read while the context lasts.

    The question can change nothing: it is one SELECT, in a DuckDB in memory without access to files or network, whose
    configuration is locked. The tables of PostgreSQL are copied in one snapshot, with a reader's rights. Instants are
    in UTC. What does not fit into half of the machine's memory goes to temporary files.

    Args:
        settings: with the history and the database; one that is not set is missed only if the question needs it.

    Raises:
        BytemeterError: it is no question, has a mistake, or names what is not there.
        TransientError: PostgreSQL or the history cannot be reached.
    """
    with _one_line(), _closed_duckdb() as connection:
        missing = _add(connection, settings, named_tables(connection, statement))
        _run(connection, "set lock_configuration = true")
        try:
            yield connection.sql(statement)
        except duckdb.CatalogException as error:
            # A name that was not found may be one of the statement's own.
            raise BytemeterError(f"{'; '.join(missing) or first_line(error)}{_LISTS}") from None


def tables(settings: Settings) -> list[str]:
    """All tables that can be named: ``history.…``, ``invalid.…`` and ``postgres.…``.

    Raises:
        BytemeterError, TransientError: see ``asked``.
    """
    folders = history.existing(settings.history) if settings.history else []
    names = [
        f"{INVALID if folder.endswith('.invalid') else HISTORY}.{_quoted(folder.removesuffix('.invalid'))}"
        for folder in folders
    ]
    if settings.database_url is not None:
        with postgres.reading(settings.require_database_url()) as connection:
            names += [f"{POSTGRES}.{_quoted(name)}" for name in postgres.tables(connection)]
    return names


@contextmanager
def parser() -> Iterator[DuckDBPyConnection]:
    """A DuckDB that only parses."""
    with _one_line(), duckdb.connect(":memory:", config=_CLOSED) as connection:
        yield connection


@contextmanager
def _closed_duckdb() -> Iterator[DuckDBPyConnection]:
    with (
        tempfile.TemporaryDirectory(prefix="bytemeter-sql-") as folder,
        duckdb.connect(":memory:", config={**_CLOSED, "temp_directory": folder, "memory_limit": "50%"}) as connection,
    ):
        _run(connection, "set TimeZone = 'UTC'")
        for schema in (HISTORY, INVALID, POSTGRES):
            _run(connection, f"create schema {schema}")
        _run(connection, f"set search_path = '{HISTORY},{POSTGRES}'")
        yield connection


def _run(connection: DuckDBPyConnection, statement: str) -> None:
    connection.execute(statement).fetchall()


def _add(connection: DuckDBPyConnection, settings: Settings, named: list[Named]) -> list[str]:
    """Give DuckDB the tables; returns a line for each that is not there."""
    missing: list[str] = []
    for table in (table for table in named if table.schema != POSTGRES):
        try:
            history.add_delta(connection, settings.history, table)
        except LookupError as error:
            missing.append(str(error.args[0]))
    of_postgres = [table for table in named if table.schema == POSTGRES]
    if of_postgres:
        url = settings.database_url.get_secret_value() if settings.database_url else None
        with postgres.reading(url, of_postgres) as session:
            for table in of_postgres:
                try:
                    postgres.add_table(connection, session, table)
                except LookupError as error:
                    missing.append(str(error.args[0]))
    return missing


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except duckdb.PermissionException as error:
        raise BytemeterError(f"{first_line(error)}; only the history and PostgreSQL can be asked") from None
    except duckdb.OutOfMemoryException as error:
        raise BytemeterError(f"{first_line(error)}; ask for fewer columns, or for a shorter time") from None
    except duckdb.Error as error:
        raise BytemeterError(f"{first_line(error)}{_LISTS}") from None


def _quoted(name: str) -> str:
    return name if name.replace("_", "a").isalnum() and name == name.lower() else f'"{name}"'
