"""The logins of dashboards: each Superset has its own, and neither breaks nor removes that of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from serving.logins import SupersetLogin

Rows = Callable[..., list[tuple[Any, ...]]]
LOGINS = "select rolname from pg_roles where starts_with(rolname, 'dashboards_')"


@pytest.fixture
def supersets(engine: Engine, tmp_path: Path, rows: Rows) -> Iterator[list[SupersetLogin]]:
    """The logins of two Supersets that read the same database."""
    logins = [SupersetLogin(engine, tmp_path / name) for name in ("first", "second")]
    for login in logins:
        login.folder.mkdir()
    before = names(rows)
    yield logins
    for name in names(rows) - before:
        rows(f'drop role "{name}"; select 1')


def names(rows: Rows) -> set[str]:
    """The names of all logins."""
    return {name for (name,) in rows(LOGINS)}


def counted(url: URL) -> int:
    """What the login sees; it can change nothing."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied|read-only"), connection.begin():
            connection.execute(text("delete from bytes"))
        return int(connection.scalar(text("select count(*) from user_metadata")) or 0)


def test_two_supersets_on_one_database_keep_their_logins(supersets: list[SupersetLogin], rows: Rows) -> None:
    first, second = (login.renew() for login in supersets)
    assert [counted(url) for url in (first, second)] == [20, 20]
    renewed = supersets[0].renew()
    assert renewed.username == first.username
    assert [counted(url) for url in (renewed, second)] == [20, 20]
    with pytest.raises(OperationalError, match="authentication failed"):
        counted(first)
    supersets[0].drop()
    assert counted(second) == 20
    assert names(rows) & {first.username, second.username} == {second.username}


def test_a_copied_home_gets_a_login_of_its_own(supersets: list[SupersetLogin], tmp_path: Path) -> None:
    first = supersets[0].renew()
    copied = shutil.copytree(supersets[0].folder, tmp_path / "copy")
    assert SupersetLogin(supersets[0].engine, copied).renew().username != first.username
    assert counted(first) == 20


def test_logins_of_homes_that_are_gone_are_dropped(supersets: list[SupersetLogin], rows: Rows) -> None:
    shared = f"dashboards_of_{supersets[0].engine.url.database}"  # by an earlier version
    rows(f"create role {shared} login in role bytemeter_reader; select 1")
    first = supersets[0].renew()
    shutil.rmtree(supersets[0].folder)
    second = supersets[1].renew()
    assert names(rows) & {shared, first.username, second.username} == {second.username}
