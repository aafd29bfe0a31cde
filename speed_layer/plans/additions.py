"""Adds the rows of the temporary table ``additions`` to the totals of their billing periods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from bytemeter.sql import Statements
from speed_layer.postgres.lookups import no_nested_loops

SQL = Statements(__package__, "additions.sql")


@dataclass(frozen=True)
class Added:
    """Billing periods to which records were added.

    Attributes:
        periods: how many.
        reached: those that reach their next threshold, by usage_id.
        closed: those that were closed before, by usage_id.
    """

    periods: int = 0
    reached: Sequence[int] = ()
    closed: Sequence[int] = ()


def add_to_periods(connection: Connection, *, one_by_one: bool) -> Added:
    """Add the rows of ``additions`` that ``count_one_by_one`` has written, or the rows that ``count_together`` has."""
    with no_nested_loops(connection):
        row = connection.execute(SQL["add_to_periods"], {"one_by_one": one_by_one}).one()
    return Added(row.periods, row.reached, row.closed)


def lacking_periods(connection: Connection) -> npt.NDArray[np.int64]:
    """The usage_ids of ``additions`` that no billing period has: theirs were dropped since."""
    return np.array(cast(Sequence[int], connection.scalars(SQL["lacking_periods"]).all()), np.int64)
