"""The history's Delta tables for DuckDB: opened, never written."""

from __future__ import annotations

import os
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from duckdb import DuckDBPyConnection

from bytemeter.errors import BytemeterError, TransientError, first_line
from bytemeter.feeds import FEEDS
from bytemeter.history.storage import BUCKETS, delta_options
from bytemeter.settings import PREFIX
from serving.questions.statement import INVALID, Named


def folder_of(table: Named) -> str:
    """The name of a table's folder in the history."""
    return f"{table.feed}.invalid" if table.schema == INVALID else table.feed


def add_delta(duckdb: DuckDBPyConnection, root: str | None, table: Named) -> None:
    """Let DuckDB read a Delta table as of now, as a view; it reads only the columns and hours that a question needs.

    Raises:
        LookupError: the history has no such table; the message is one line.
        TransientError: the history cannot be read.
        BytemeterError: no history is named, or there are no credentials for it.
    """
    if root is None:
        raise BytemeterError(
            f"{PREFIX}HISTORY is not set, but {table.schema}.{table.name} is asked for; name the history"
        )
    if table.feed not in FEEDS:
        raise LookupError(f"no feed {table.feed!r}; the feeds are {', '.join(FEEDS)}")
    dataset = _opened(root, folder_of(table)).to_pyarrow_dataset()
    source = f"{table.schema} of {table.name}"
    duckdb.register(source, dataset)
    duckdb.execute(f'create view {table.schema}."{table.name}" as select * from "{source}"').fetchall()  # noqa: S608, names of feeds


def existing(root: str) -> list[str]:
    """The folders of the Delta tables that the history has, by what each feed may have."""
    folders = [folder for name in FEEDS for folder in (name, f"{name}.invalid")]
    return [folder for folder in folders if _exists(root, folder)]


def _exists(root: str, folder: str) -> bool:
    if root.startswith(BUCKETS):
        return DeltaTable.is_deltatable(f"{root}/{folder}", _options(root))
    return (Path(root.removeprefix("file://")) / folder / "_delta_log").is_dir()


def _opened(root: str, folder: str) -> DeltaTable:
    try:
        return DeltaTable(f"{root}/{folder}", storage_options=_options(root))
    except TableNotFoundError:
        raise LookupError(
            f"the history in {root} has no table {folder} yet; `bytemeter stream` writes the history"
        ) from None
    except (DeltaError, OSError) as error:
        raise TransientError(f"the history in {root} cannot be read: {first_line(error)}") from None


def _options(root: str) -> dict[str, str]:
    """How to reach a history; clients without credentials would look for them for minutes."""
    if root.startswith(BUCKETS):
        from bytemeter.history.access import require_credentials

        require_credentials(os.environ, root)
    return delta_options(root, os.environ)
