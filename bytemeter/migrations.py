"""Brings a database to what the layers expect: tables, views, the 20 users."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from bytemeter.errors import BytemeterError
from bytemeter.sql import migration_files

_LOCK = 0x6279_7465
_USERS = 20
_QUOTAS = (1_000_000, 3_000_000, 10_000_000, 50_000_000)


def migrate(engine: Engine) -> list[str]:
    """Apply the migrations that are new, in order and all in one transaction; the names of those.

    Raises:
        BytemeterError: the database has a migration that this version does not know.
    """
    files = migration_files()
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        applied = _applied(connection)
        if unknown := sorted(applied - files.keys()):
            raise BytemeterError(
                f"the database has the migration {unknown[-1]}, this version knows up to {max(files)}; "
                "install the version that wrote it, or a later one"
            )
        new = [name for name in files if name not in applied]
        for name in new:
            # The driver takes a percent sign for the beginning of a parameter.
            connection.exec_driver_sql(files[name].read_text().replace("%", "%%"))
            connection.execute(text("insert into migrations (name) values (:name)"), {"name": name})
    return new


def provision(engine: Engine) -> int:
    """Write the 20 users of the simulator's phones with their quotas (bytes per hour); how many were new.

    A user who is there already is left as is.
    """
    users = [
        {
            "id": f"00000000-0000-0000-0000-{n:012d}",
            "name": f"User {n:02d}",
            "email": f"user{n:02d}@example.com",
            "quota": _QUOTAS[n % len(_QUOTAS)],
        }
        for n in range(1, _USERS + 1)
    ]
    insert = text(
        "insert into user_metadata (id, name, email, quota) values (:id, :name, :email, :quota) "
        "on conflict do nothing returning id"
    )
    with engine.begin() as connection:
        return sum(connection.execute(insert, user).rowcount for user in users)


def _applied(connection: Connection) -> set[str]:
    connection.exec_driver_sql(
        "create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())"
    )
    return set(connection.scalars(text("select name from migrations")))
