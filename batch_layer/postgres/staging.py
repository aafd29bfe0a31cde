"""Writes what Spark has recomputed to a staging table, and counts it on the way."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from sqlalchemy import Connection, column, func, select, table

from bytemeter.errors import TransientError


@dataclass(frozen=True)
class Staged:
    """Rows staged by Spark: the table, the attempt that marks them, and how many there are."""

    table: str
    attempt: int
    rows: int


def stage(rows: DataFrame, into: str, jdbc: dict[str, str]) -> Staged:
    """Append the rows to a staging table whose column ``attempt`` the writing session gives."""
    attempt, observed = secrets.randbits(62), Observation()
    counted = rows.observe(observed, F.count(F.lit(1)).alias("rows"))
    options = {**jdbc, "dbtable": into, "options": f"-c bytemeter.attempt={attempt}"}
    counted.write.format("jdbc").options(**options).mode("append").save()
    return Staged(into, attempt, int(observed.get["rows"]))


def require_all(connection: Connection, staged: Staged) -> None:
    """Require that the rows are there, each once.

    Raises:
        TransientError: they are not.
    """
    rows = table(staged.table, column("attempt"))
    found = connection.scalars(select(func.count()).select_from(rows).where(rows.c.attempt == staged.attempt)).one()
    if found != staged.rows:
        raise TransientError(
            f"{found} rows are staged, Spark counted {staged.rows}: a task was run twice; run the job again"
        )
