"""Staged totals replace whole windows of a table: only rows that differ are written, and rows that are gone removed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from batch_layer.postgres.staging import Staged, require_all
from batch_layer.postgres.totals import Compared, Difference, compare, write
from bytemeter.errors import TransientError
from bytemeter.feeds import DEVICES, TotalsTable
from bytemeter.windows import HOUR

Rows = Callable[..., list[tuple[Any, ...]]]

TEN = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
ELEVEN = TEN + dt.timedelta(hours=1)
TABLE = TotalsTable("bytes_hourly", HOUR)
STORED = """
insert into bytes_hourly (type, id, timestamp, value) values
('app_bytes_total', 'GONE', '2026-11-21T10:00Z', 1), ('app_bytes_total', 'LESS', '2026-11-21T10:00Z', 2),
('app_bytes_total', 'SAME', '2026-11-21T10:00Z', 3), ('app_bytes_total', 'LATER', '2026-11-21T11:00Z', 4)
"""


def stage(connection: Connection, attempt: int, *totals: tuple[str, str, int]) -> Staged:
    """Stage totals of the hour from ten, as Spark does."""
    for type_, id_, value in totals:
        connection.exec_driver_sql(
            "insert into staged_hourly (attempt, type, id, window_s, value) values (%s, %s, %s, %s, %s)",
            (attempt, type_, id_, int(TEN.timestamp()), value),
        )
    return Staged("staged_hourly", attempt, len(totals))


def replaced(engine: Engine, *totals: tuple[str, str, int]) -> Compared:
    with engine.begin() as connection:
        # Rows of an attempt that failed are never read.
        stage(connection, 1, ("app_bytes_total", "FAILED", 9))
        compared = compare(connection, stage(connection, 2, *totals), DEVICES, TABLE, [TEN])
        write(connection, DEVICES, TABLE)
        connection.exec_driver_sql("truncate staged_hourly")
    return compared


def test_only_the_differences_of_the_windows_are_written(engine: Engine, rows: Rows) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(STORED)
    totals = [("app_bytes_total", "LESS", 1), ("app_bytes_total", "SAME", 3), ("app_bytes_total", "NEW", 5)]
    compared = replaced(engine, *totals)
    assert compared.changed == 3
    assert set(compared.differences) == {
        Difference("app_bytes_total", "GONE", TEN, 1, None),  # type: ignore[arg-type]
        Difference("app_bytes_total", "LESS", TEN, 2, 1),  # type: ignore[arg-type]
        Difference("app_bytes_total", "NEW", TEN, None, 5),  # type: ignore[arg-type]
    }
    assert rows("select id, timestamp, value from bytes_hourly order by id") == [
        ("LATER", ELEVEN, 4),
        ("LESS", TEN, 1),
        ("NEW", TEN, 5),
        ("SAME", TEN, 3),
    ]
    assert replaced(engine, *totals).changed == 0


def test_totals_of_known_users_are_added_by_e_mail(engine: Engine, rows: Rows) -> None:
    known, unknown = "00000000-0000-0000-0000-000000000001", "nobody"
    replaced(engine, ("user_bytes_total", known, 7), ("user_bytes_total", unknown, 8))
    assert rows("select id, value from bytes_hourly where type = 'email_bytes_total'") == [("user01@example.com", 7)]


@pytest.mark.parametrize("computed", [1, 3])
def test_a_task_that_was_run_twice_is_found_out(engine: Engine, computed: int) -> None:
    with engine.begin() as connection:
        staged = stage(connection, 2, ("app_bytes_total", "A", 1), ("app_bytes_total", "A", 1))
        require_all(connection, staged)
        with pytest.raises(
            TransientError, match=f"has 2 rows of this attempt, Spark computed {computed}: a task was run"
        ):
            require_all(connection, Staged(staged.table, staged.attempt, computed))
