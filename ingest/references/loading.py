"""Applies the rows of a file to a reference table, in one transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TextIO

from sqlalchemy import Connection, Engine, text

from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements
from bytemeter.telemetry.enriching import CONTENT, DEVICE, DIALCODE, USER
from ingest.references.rows import Row

SQL = Statements(__package__, "loading.sql")
TABLES = {
    DEVICE: "reference_devices",
    USER: "reference_users",
    CONTENT: "reference_contents",
    DIALCODE: "reference_dialcodes",
}
_USER_PREFIX = "user:"
_COPY = "copy loaded (place, id, data) from stdin"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass
class Loaded:
    """What a load has done, in rows.

    Attributes:
        read: of the file.
        bad: of the file that were left out.
        removed: of the table that the file does not have.
    """

    read: int = 0
    bad: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def unchanged(self) -> int:
        """Rows of the file that the table had already."""
        return self.read - self.bad - self.new - self.changed


def load(
    engine: Engine, reference: str, rows: Iterable[Row], complain: Callable[[Row], None], *, replace: bool = False
) -> Loaded:
    """Bring a reference table up to date: all rows of a file, or none.

    Key: id. Delivery: the same file twice changes nothing. Readers see the table as it was until the transaction ends.

    Args:
        reference: one of ``TABLES``.
        complain: called with each row that is left out; its ``data`` says why.
        replace: remove the rows that the file does not have.

    Raises:
        BytemeterError: the table is missing, or the login may not write it.
        TransientError: PostgreSQL cannot be reached.
    """
    loaded = Loaded()
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as file:
        for row in rows:
            loaded.read += 1
            if row.id is None:
                loaded.bad += 1
                complain(row)
            else:
                _write(file, row, _id_in(reference, row.id))
        file.seek(0)
        with one_line_errors(engine.url), engine.begin() as connection:
            _apply(connection, TABLES[reference], file, loaded, complain, replace)
    return loaded


def _apply(
    connection: Connection, table: str, file: TextIO, loaded: Loaded, complain: Callable[[Row], None], replace: bool
) -> None:
    connection.execute(SQL["stage"])
    cursor: Any = connection.connection.cursor()
    cursor.copy_expert(_COPY, file)
    connection.exec_driver_sql("create index on loaded (id)")
    connection.exec_driver_sql("analyze loaded")
    for place, id_ in connection.execute(SQL["repeated"]):
        loaded.bad += 1
        complain(Row(place, None, f"the id {id_!r} stands further above, too"))
    loaded.new, loaded.changed = connection.execute(_on(table, "upsert")).one()
    if replace:
        loaded.removed = connection.execute(_on(table, "remove")).rowcount


def _on(table: str, name: str) -> Any:
    """A statement on one of ``TABLES``; in the file it stands as ``reference_table``."""
    return text(SQL.raw(name).replace("reference_table", table))


def _id_in(reference: str, id_: str) -> str:
    """The id by which events name a row: that of a dialcode is upper case; users' may be written ``user:<id>``."""
    if reference == USER:
        return id_.removeprefix(_USER_PREFIX)
    return id_.upper() if reference == DIALCODE else id_


def _write(file: TextIO, row: Row, id_: str) -> None:
    file.write(f"{row.place}\t{id_.translate(_ESCAPES)}\t{row.data.translate(_ESCAPES)}\n")
