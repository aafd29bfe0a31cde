"""What a statement asks for, as DuckDB's own parser reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS

HISTORY, INVALID, POSTGRES = "history", "invalid", "postgres"
_SHOWN = 60


@dataclass(frozen=True, order=True)
class Named:
    """A table that a statement names.

    Attributes:
        schema: ``history``, ``invalid`` (a feed's invalid messages) or ``postgres``.
        name: as DuckDB is to know it: as it was written, in lower case.
    """

    schema: str
    name: str

    @property
    def feed(self) -> str:
        """The feed's name: ``game_events`` may be written for ``"game-events"``."""
        return self.name.replace("_", "-")


def named_tables(duckdb: DuckDBPyConnection, statement: str) -> list[Named]:
    """The tables of the history and of PostgreSQL that a statement may name, and perhaps names that its WITH defines.

    A name without a schema is a feed's history, or else a table of PostgreSQL.

    Raises:
        BytemeterError: it is not one question, or has a mistake.
    """
    # All is fetched: a connection asks nothing else before a result was read to its end.
    ((answer,),) = duckdb.execute("select json_serialize_sql(?)", [statement]).fetchall()
    read = json.loads(answer)
    if read.get("error"):
        raise BytemeterError(_complaint(str(read.get("error_message")), statement))
    if len(read["statements"]) != 1:
        raise BytemeterError(
            f"{len(read['statements'])} statements were given, expected one; ask one question at a time"
        )
    return sorted({found for table in _tables(read) if (found := _resolved(*table))})


def _complaint(message: str, statement: str) -> str:
    shown = statement if len(statement) <= _SHOWN else f"{statement[:_SHOWN]}…"
    if "Only SELECT" in message:
        return (
            f"{' '.join(shown.split())!r} is no question; expected one SELECT (or WITH, FROM, VALUES, DESCRIBE, "
            "SUMMARIZE): nothing can be changed here"
        )
    return f"the statement cannot be read: {message}; expected one SELECT as DuckDB writes it"


def _tables(node: Any) -> Iterator[tuple[str, str, str]]:
    """Catalog, schema and name of each table in a statement's syntax tree."""
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            yield node.get("catalog_name", ""), node.get("schema_name", ""), node.get("table_name", "")
        for value in node.values():
            yield from _tables(value)
    elif isinstance(node, list):
        for value in node:
            yield from _tables(value)


def _resolved(catalog: str, schema: str, name: str) -> Named | None:
    found = Named(schema.lower() or HISTORY, name.lower())
    if catalog or found.schema not in (HISTORY, INVALID, POSTGRES):
        return None
    return Named(POSTGRES, found.name) if not schema and found.feed not in FEEDS else found
