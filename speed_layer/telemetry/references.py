"""Completes what goes to ``telemetry.denorm``: looks up the rows that the events of a micro-batch need.

Executors have no database, and a table that may be large and may change is no broadcast: so the driver asks PostgreSQL,
by the ids of the micro-batch, in the transaction that counts it. A row that is changed is used by the next micro-batch.
While PostgreSQL or one of the tables is away, nothing is counted and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import TransientError, first_line
from bytemeter.sql import Statements
from bytemeter.telemetry import topics
from bytemeter.telemetry.enriching import REFERENCES, Prepared, Rows, joined, row_of
from bytemeter.telemetry.members import json_of

SQL = Statements(__package__, "references.sql")
# So many events are completed at once: their rows are in memory together.
_AT_ONCE = 2_000
_UNDEFINED_TABLE = "42P01"


def completed(connection: Connection, outgoing: pa.Table) -> pa.Table:
    """What is sent of unique events; the messages for ``telemetry.denorm`` with their rows.

    Args:
        connection: inside a transaction.
        outgoing: see ``speed_layer.executor.outgoing.OUTGOING``, of ``speed_layer.executor.denorm.DenormStage``.

    Raises:
        TransientError: a reference table is missing, or PostgreSQL cannot be reached.
    """
    pieces = [outgoing.slice(first, _AT_ONCE) for first in range(0, outgoing.num_rows, _AT_ONCE)]
    column = outgoing.schema.get_field_index("value")
    tables = [piece.set_column(column, outgoing.schema.field(column), _values(connection, piece)) for piece in pieces]
    return pa.concat_tables(tables) if tables else outgoing


def _values(connection: Connection, outgoing: pa.Table) -> pa.Array:
    to_topics, values = (outgoing.column(name).to_pylist() for name in ("topics", "value"))
    prepared = [
        Prepared.of(value) if topic == topics.DENORM else None for topic, value in zip(to_topics, values, strict=True)
    ]
    rows = _rows(connection, filter(None, prepared))
    return pa.array(
        [joined(event, rows) if event else value for event, value in zip(prepared, values, strict=True)],
        outgoing.schema.field("value").type,
    )


def _rows(connection: Connection, prepared: Iterable[Prepared]) -> Rows:
    ids: dict[str, set[str]] = {reference: set() for reference in REFERENCES}
    for event in prepared:
        for reference, id_ in event.keys:
            # PostgreSQL has no text with NUL, and so no such row.
            if "\0" not in id_:
                ids[reference].add(id_)
    if not any(ids.values()):
        return {}
    # As texts: the driver would quote each id of a list by itself.
    asked = {reference: json_of(sorted(chosen)).decode() for reference, chosen in ids.items()}
    try:
        found = connection.execute(SQL["rows"], asked)
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _UNDEFINED_TABLE:
            raise TransientError(
                f"a reference table is missing: {first_line(error.orig)}; events wait until it is back, see "
                "`bytemeter migrate`"
            ) from None
        raise
    return {(reference, id_): row_of(reference, data.encode()) for reference, id_, data in found}
