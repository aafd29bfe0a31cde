"""The invoices of a month: drafts, final ones that never change, and amendments of what came later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv
from pyarrow import parquet
from pyarrow.fs import FileSystem, LocalFileSystem
from sqlalchemy import Connection, TextClause

from batch_layer.postgres.staging import Staged
from bytemeter.history.storage import filesystem_of
from bytemeter.sql import Statements

SQL = Statements(__package__, "invoices.sql")
FOLDER = "invoices"
_MONEY = pa.decimal128(38, 6)
_LINES = pa.schema(
    [
        *((name, pa.string()) for name in ("number", "invoice", "month", "customer", "type")),
        ("events", pa.int64()),
        *(("total_eur", pa.decimal128(38, 2)), ("total", _MONEY), ("rounding", _MONEY)),
        *((name, pa.string()) for name in ("state", "amends", "reason", "digest")),
    ]
)
_EVENTS = pa.schema(
    [
        *((name, pa.string()) for name in ("number", "customer", "type")),
        *(("partition", pa.int32()), ("offset", pa.int64()), ("counts", pa.int8())),
        *(("event_time", pa.timestamp("us", "UTC")), ("amount", pa.decimal128(21, 6)), ("event_id", pa.string())),
    ]
)
_ROWS_AT_ONCE = 50_000


def make(connection: Connection, month: str, events: Staged, *, final: bool) -> dict[str, int]:
    """Make the invoices of a month from its staged events, in the caller's transaction.

    Key: the number of a line. Drafts are made anew. Lines that were issued stay as they are: events that they have not,
    or have although they do not count any more, make an amendment. Done again with the same events, issued lines,
    amendments and the content of drafts are the same.

    Args:
        final: whether the invoices that are drafts are issued.

    Returns:
        How many invoices and amendments were made, by state.
    """
    values = {"month": month, "attempt": events.attempt, "final": final}
    for name in ("number_customers", "remove_events_of_drafts", "remove_drafts", "find_evidence", "write_lines"):
        connection.execute(SQL[name], values)
    for name in ("write_events", "add_up", "issue"):
        connection.execute(SQL[name], values)
    return {row.state: row.invoices for row in connection.execute(SQL["made"], values)}


def export(connection: Connection, month: str, history: str) -> None:
    """Write the lines of a month as parquet and CSV, and their events as parquet, to ``invoices/`` of the history.

    Delivery: each file is replaced as a whole by what the tables have, so that a repetition makes the same files.
    """
    filesystem, root = filesystem_of(history)
    folder = f"{root}/{FOLDER}/{month}"
    if isinstance(filesystem, LocalFileSystem):
        filesystem.create_dir(folder)
    with connection.begin():
        lines = pa.concat_tables([_LINES.empty_table(), *_tables(connection, SQL["lines_of_month"], month, _LINES)])
        with _Replaced(filesystem, f"{folder}/lines.parquet") as output:
            parquet.write_table(lines, output)
        with _Replaced(filesystem, f"{folder}/lines.csv") as output:
            pyarrow.csv.write_csv(lines, output)
        with (
            _Replaced(filesystem, f"{folder}/events.parquet") as output,
            parquet.ParquetWriter(output, _EVENTS, compression="zstd") as writer,
        ):
            for events in _tables(connection, SQL["events_of_month"], month, _EVENTS):
                writer.write_table(events)


class _Replaced:
    """A file that is replaced once it is written. An object in a bucket appears when it is whole; a file is renamed."""

    def __init__(self, filesystem: FileSystem, path: str) -> None:
        self._filesystem, self._path = filesystem, path
        self._written = f"{path}.new" if isinstance(filesystem, LocalFileSystem) else path

    def __enter__(self) -> Any:
        self._output = self._filesystem.open_output_stream(self._written)
        return self._output

    def __exit__(self, kind: object, *_: object) -> None:
        self._output.close()
        if kind is None and self._written != self._path:
            self._filesystem.move(self._written, self._path)


def _tables(connection: Connection, statement: TextClause, month: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a statement, some at a time, in columns of the schema's names or in its order."""
    rows = connection.execute(statement, {"month": month}, execution_options={"yield_per": _ROWS_AT_ONCE})
    for page in rows.partitions():
        columns: Mapping[str, tuple[Any, ...]] = dict(zip(schema.names, zip(*page, strict=True), strict=True))
        yield pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)
