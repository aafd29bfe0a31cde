"""Spark writes recomputed rows to a staging table over JDBC, counted on the way."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from sqlalchemy import Connection, column, func, select, table

from bytemeter.errors import TransientError


@dataclass(frozen=True)
class Staged:
    """Rows in a staging table.

    Attributes:
        table: the table's name.
        attempt: the value of the column ``attempt`` in these rows.
        rows: how many rows Spark has computed.
    """

    table: str
    attempt: int
    rows: int


def stage(rows: DataFrame, into: str, jdbc: dict[str, str]) -> Staged:
    """Append rows to a staging table. Its column ``attempt`` takes its value from the writing session.

    Delivery: at least once: Spark may run a task twice. ``require_all`` finds that out.
    """
    attempt, observed = secrets.randbits(62), Observation()
    counted = rows.observe(observed, F.count(F.lit(1)).alias("rows"))
    session = f"{jdbc.get('options', '')} -c bytemeter.attempt={attempt}".strip()
    options = {**jdbc, "dbtable": into, "options": session}
    counted.write.format("jdbc").options(**options).mode("append").save()
    return Staged(into, attempt, int(observed.get["rows"]))


def require_all(connection: Connection, staged: Staged) -> None:
    """Require that each row was staged exactly once.

    Raises:
        TransientError: the table has more or fewer rows of the attempt than Spark has computed.
    """
    rows = table(staged.table, column("attempt"))
    count = connection.scalars(select(func.count()).select_from(rows).where(rows.c.attempt == staged.attempt)).one()
    if count != staged.rows:
        raise TransientError(
            f"{staged.table} has {count} rows of this attempt, Spark computed {staged.rows}: a task was run twice; "
            "run the job again"
        )
