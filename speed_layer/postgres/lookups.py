"""Lookups in stored tables that use their indexes, whatever PostgreSQL takes the tables' sizes for.

For a few rows: ``stored.a = any(array[few.b])``, which PostgreSQL can only do row by row. For as many rows as a
micro-batch has: ``stored.a = many.b and stored.a = any(array(select b from many))`` inside of ``no_nested_loops``. See
"Lookups" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def no_nested_loops(connection: Connection) -> Iterator[None]:
    """Have joins hashed or merged: a nested loop over temporary tables, which have no indexes, joins all with all."""
    connection.exec_driver_sql("set local enable_nestloop = off")
    yield
    connection.exec_driver_sql("set local enable_nestloop = on")
