"""How PostgreSQL joins tables whose sizes it does not know yet: those that a transaction has just filled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def one_by_one(connection: Connection) -> Iterator[None]:
    """Look each row up by an index, from the first table that a statement names to its last.

    For a few rows, or many, of large tables: joined otherwise all that there is would be read.
    """
    connection.exec_driver_sql(
        "set local enable_hashjoin = off; set local enable_mergejoin = off; set local join_collapse_limit = 1"
    )
    yield
    connection.exec_driver_sql(_AS_PLANNED)


@contextmanager
def by_hash(connection: Connection) -> Iterator[None]:
    """Join temporary tables with each other: they have no indexes, to look up one by one would be all with all."""
    connection.exec_driver_sql("set local enable_nestloop = off")
    yield
    connection.exec_driver_sql(_AS_PLANNED)


_AS_PLANNED = """
set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_nestloop = on;
set local join_collapse_limit to default
"""
