"""Databases as earlier versions have left them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.sql import migration_files


@contextmanager
def database_before(place: Settings, migration: str) -> Iterator[Engine]:
    """A database of its own, beside that of the settings, with the migrations before one.

    Args:
        migration: the beginning of its name, such as ``0016``.
    """
    url = make_url(place.require_database_url())
    name = f"{url.database}_before"
    admin = database(place.require_database_url()).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine = database(url.set(database=name).render_as_string(hide_password=False))
    with engine.begin() as connection:
        connection.exec_driver_sql("create table migrations (name text primary key, applied_at timestamptz)")
        for applied, path in migration_files().items():
            if applied < migration:
                connection.exec_driver_sql(path.read_text().replace("%", "%%"))
                connection.execute(text("insert into migrations (name) values (:name)"), {"name": applied})
    yield engine
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
