"""How a transaction reaches tables that stay: by their indexes, whatever PostgreSQL takes their sizes for.

A few rows: ``stays.a = any(array[few.b])``, which can be done row by row only. As many as a micro-batch has:
``stays.a = few.b and stays.a = any(array(select b from few))`` inside of ``no_nested_loops``. See "Look-ups" in
docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def no_nested_loops(connection: Connection) -> Iterator[None]:
    """Joins are hashed or merged: row by row, those with temporary tables, which have no indexes, are all with all."""
    connection.exec_driver_sql("set local enable_nestloop = off")
    yield
    connection.exec_driver_sql("set local enable_nestloop = on")
