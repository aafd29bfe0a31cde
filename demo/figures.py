"""The figures of the demo's screen, asked of PostgreSQL as an analyst would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, text

from bytemeter.sql import query

_QUERIES = ("account", "top_by_type", "quota_breaches", "live_against_batch", "plan_thresholds")


@dataclass(frozen=True)
class Figures:
    """Rows of the queries ``sql/queries/*.sql`` of the same names, all as of one instant."""

    account: Sequence[Row[Any]]
    top_by_type: Sequence[Row[Any]]
    quota_breaches: Sequence[Row[Any]]
    live_against_batch: Sequence[Row[Any]]
    plan_thresholds: Sequence[Row[Any]]

    @property
    def counted(self) -> int:
        """Records counted so far."""
        return sum(row.counted for row in self.account)

    @property
    def recomputed(self) -> bool:
        """Whether some hour has been recomputed."""
        return any(row.batch is not None for row in self.live_against_batch)


def read_figures(engine: Engine) -> Figures:
    """Ask all queries in one snapshot."""
    with engine.begin() as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        return Figures(*(connection.execute(text(query(name))).all() for name in _QUERIES))
