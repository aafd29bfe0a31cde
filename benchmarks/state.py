"""What jobs leave in PostgreSQL and the history: removed, or vacuumed, before the next job is measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
from sqlalchemy import text

from bytemeter.feeds import AGREEMENTS
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.sql import Statements

SQL = Statements(__package__, "state.sql")


def clear(*places: Settings) -> None:
    """Remove what earlier jobs have counted and kept; agreements stay, with billing periods in which nothing is used.

    Args:
        places: all of them in one database.
    """
    for settings in places:
        shutil.rmtree(Path(settings.require_history()), ignore_errors=True)
    engine = database(places[0].require_database_url())
    with engine.begin() as connection:
        for name in ("remove_counted", "drop_generations", "reset_billing_periods"):
            connection.execute(SQL[name])
        connection.execute(SQL["forget_offsets"], {"kept": AGREEMENTS.name})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum data_plan_usage"))


def quiesce(settings: Settings) -> None:
    """Vacuum, analyse and write a checkpoint, so that PostgreSQL does none of it while a job is measured."""
    engine = database(settings.require_database_url())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))
        connection.execute(text("checkpoint"))


def java_memory_gib() -> float:
    """Resident memory of Spark's JVM, a child of this process."""
    children = psutil.Process().children()
    return max((child.memory_info().rss for child in children if child.name() == "java"), default=0) / 2**30
