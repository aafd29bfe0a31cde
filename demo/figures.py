"""The figures of the demo's screen, read from PostgreSQL by the queries for analysts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, text

from bytemeter.feeds import DEVICES
from bytemeter.sql import query

_QUERIES = ("account", "top_by_type", "quota_breaches", "live_against_batch", "plan_thresholds", "telemetry_funnel")


@dataclass(frozen=True)
class Figures:
    """Rows of the queries ``sql/queries/<field>.sql``, all of one snapshot."""

    account: Sequence[Row[Any]]
    top_by_type: Sequence[Row[Any]]
    quota_breaches: Sequence[Row[Any]]
    live_against_batch: Sequence[Row[Any]]
    plan_thresholds: Sequence[Row[Any]]
    telemetry_funnel: Sequence[Row[Any]]

    @property
    def there(self) -> bool:
        """Whether records of phones were counted, which are what most of the screen shows."""
        return any(row.feed == DEVICES.name and row.counted for row in self.account)

    @property
    def counted(self) -> int:
        """Records counted so far."""
        return sum(row.counted for row in self.account)


def read_figures(engine: Engine) -> Figures:
    """Run all queries in one snapshot."""
    with engine.begin() as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        return Figures(*(connection.execute(text(query(name))).all() for name in _QUERIES))


class Rate:
    """The rate of counted records between two calls."""

    def __init__(self) -> None:
        self._counted, self._at = 0, time.monotonic()
        self._known = False

    def of(self, figures: Figures) -> float:
        """Records counted a second since the last call; 0 at the first."""
        now, counted = time.monotonic(), figures.counted
        rate = (counted - self._counted) / max(now - self._at, 1e-3) if self._known else 0.0
        self._counted, self._at, self._known = counted, now, True
        return rate
