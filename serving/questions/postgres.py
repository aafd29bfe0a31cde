"""Tables and views of PostgreSQL for DuckDB: copied into it, all in one snapshot, with the rights of a reader.

A statement of the user's never reaches PostgreSQL: it is asked for whole tables, by their names in its catalogue.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
from duckdb import DuckDBPyConnection
from pyarrow import csv
from sqlalchemy import Connection

from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX
from bytemeter.sql import Statements
from serving.questions.statement import Named
from serving.reader import reading as reading_as_reader

SQL = Statements(__package__, "postgres.sql")
# A row must fit into a block; the largest cells are invalid messages, of a few MiB.
_BLOCK_BYTES = 32 * 2**20
# DuckDB's type of each of PostgreSQL's; all others are texts.
_TYPES = {
    "bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "float", "float8": "double",
    "date": "date", "time": "time", "timestamp": "timestamp", "timestamptz": "timestamptz", "interval": "interval",
    "uuid": "uuid", "json": "json", "jsonb": "json",
}  # fmt: skip
# Amounts have at most six digits after the point; PostgreSQL keeps no type of a sum.
_ANY_NUMERIC = "decimal(38, 6)"


@dataclass(frozen=True)
class _Column:
    """A column as PostgreSQL's catalogue has it."""

    name: str
    type: str
    modifier: int
    element: str | None

    def written(self) -> str:
        """The expression by which PostgreSQL writes a value as a text."""
        quoted = '"' + self.name.replace('"', '""') + '"'
        if self.type == "bytea":
            return f"encode({quoted}, 'hex')"
        return f"to_json({quoted})" if self.element else quoted

    def read(self, text: str) -> str:
        """The expression by which DuckDB reads that text."""
        if self.type == "bytea":
            return f"unhex({text})"
        if self.element:
            return f"cast(cast({text} as json) as {_TYPES.get(self.element, 'varchar')}[])"
        return f"cast({text} as {self._duckdb_type()})"

    def _duckdb_type(self) -> str:
        if self.type != "numeric":
            return _TYPES.get(self.type, "varchar")
        digits, scale = (self.modifier - 4) >> 16, (self.modifier - 4) & 0x7FF
        # The catalogue has -1 for a numeric without digits and scale.
        return f"decimal({digits}, {scale})" if self.modifier >= 0 and scale <= digits <= 38 else _ANY_NUMERIC  # noqa: PLR2004


@contextmanager
def reading(url: str | None, asked: Sequence[Named] = ()) -> Iterator[Connection]:
    """A session that may only read, and sees one snapshot of all tables.

    Args:
        asked: the tables for which it is, for the error.

    Raises:
        BytemeterError: no database is named, or the login is no member of ``bytemeter_reader``.
        TransientError: PostgreSQL cannot be reached, or a statement took longer than a minute.
    """
    if url is None:
        names = " and ".join(table.name for table in asked)
        raise BytemeterError(f"{PREFIX}DATABASE_URL is not set, but {names} is asked for; name the database, or a feed")
    with reading_as_reader(url) as connection:
        yield connection


def tables(connection: Connection) -> list[str]:
    """The names of all tables and views."""
    return [name for (name,) in connection.execute(SQL["tables"])]


def add_table(duckdb: DuckDBPyConnection, connection: Connection, table: Named) -> None:
    """Copy a table or view into DuckDB.

    Raises:
        LookupError: there is none of this name; the message is one line.
    """
    columns = [_Column(*row) for row in connection.execute(SQL["columns"], {"name": table.name})]
    if not columns:
        raise LookupError(f"PostgreSQL has no table or view {table.name!r}")
    with tempfile.TemporaryFile() as file:
        _write(connection, table, columns, file)
        file.seek(0)
        _read(duckdb, table, columns, file)


def _write(connection: Connection, table: Named, columns: Sequence[_Column], file: BinaryIO) -> None:
    chosen = ", ".join(f"{column.written()} as c{n}" for n, column in enumerate(columns))
    name = table.name.replace('"', '""')
    statement = f'copy (select {chosen} from public."{name}") to stdout (format csv, header)'  # noqa: S608, quoted
    cursor: Any = connection.connection.cursor()
    cursor.copy_expert(statement, file)


def _read(duckdb: DuckDBPyConnection, table: Named, columns: Sequence[_Column], file: BinaryIO) -> None:
    reader = csv.open_csv(
        file,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types={f"c{n}": pa.string() for n in range(len(columns))},
            null_values=[""],
            strings_can_be_null=True,
            # COPY writes null as nothing, and an empty text as "".
            quoted_strings_can_be_null=False,
        ),
    )
    names = ['"' + column.name.replace('"', '""') + '"' for column in columns]
    chosen = ", ".join(f"{column.read(f'c{n}')} as {names[n]}" for n, column in enumerate(columns))
    duckdb.register("copied", reader)
    try:
        duckdb.execute(f'create table {table.schema}."{table.name}" as select {chosen} from copied').fetchall()  # noqa: S608
    finally:
        duckdb.unregister("copied")
