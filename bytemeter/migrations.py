"""Applies migrations: the tables, functions and views that the layers expect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from bytemeter.errors import BytemeterError
from bytemeter.logs import logger
from bytemeter.sql import migration_files

_LOCK = 0x6279_7465
# A migration that waits for a table holds up all who come after it: it gives up, and is applied later. How long its
# statements take depends on the tables.
_TIME_OUTS = "set local lock_timeout = '30s'; set local statement_timeout = 0"


def migrate(engine: Engine) -> list[str]:
    """Apply the migrations that are new to the database, in order and in one transaction; returns their names.

    Logs what a migration warns of: what it has found and mended, and what is left to do.

    Raises:
        BytemeterError: the database has a migration that this version does not know.
        OperationalError: a table that a migration changes was locked for half a minute; nothing was applied.
    """
    files = migration_files()
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.exec_driver_sql(_TIME_OUTS)
        warnings = _Warnings.of(connection)
        applied = _applied(connection)
        if unknown := sorted(applied - files.keys()):
            raise BytemeterError(
                f"the database has the migration {unknown[-1]}, this version knows up to {max(files)}; "
                "install the version that wrote it, or a later one"
            )
        new = [name for name in files if name not in applied]
        for name in new:
            # psycopg2 would read a percent sign as the beginning of a parameter.
            connection.exec_driver_sql(files[name].read_text().replace("%", "%%"))
            connection.execute(text("insert into migrations (name) values (:name)"), {"name": name})
    for warning in warnings.lines:
        logger().warning(warning)
    return new


@dataclass
class _Warnings:
    """What statements of a connection warn of, each in one line; takes the place of psycopg2's list of notices."""

    lines: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, connection: Connection) -> _Warnings:
        warnings = cls()
        driver: Any = connection.connection.dbapi_connection
        driver.notices = warnings
        return warnings

    def append(self, notice: str) -> None:
        """Called by psycopg2. SQLAlchemy would empty a list before anybody has read it."""
        if notice.startswith("WARNING:"):
            self.lines.append(notice.removeprefix("WARNING:").strip())


def _applied(connection: Connection) -> set[str]:
    connection.exec_driver_sql(
        "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"
    )
    return set(connection.scalars(text("select name from migrations")))
