"""Who may read the home: nobody but its user, whatever the umask, and whatever earlier versions left."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from embedded.home import Daemon, Home, wait_until


@pytest.fixture(autouse=True)
def open_umask() -> object:
    """The usual umask, which leaves new files readable for all."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_a_new_home_is_closed_and_its_parents_are_not(tmp_path: Path) -> None:
    Home(tmp_path / "parent" / "home").folder("kafka")
    assert mode(tmp_path / "parent") == "0o755"
    assert mode(tmp_path / "parent" / "home") == mode(tmp_path / "parent" / "home" / "kafka") == "0o700"


def test_a_home_of_an_earlier_version_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    segment = tmp_path / "home" / "kafka" / "data" / "0.log"
    segment.parent.mkdir(parents=True)
    segment.write_text("records")
    program = tmp_path / "home" / "kafka" / "run"
    program.touch(0o755)
    (tmp_path / "elsewhere").write_text("not ours")
    (tmp_path / "home" / "kafka" / "link").symlink_to(tmp_path / "elsewhere")
    Home(tmp_path / "home").folder("logs")
    assert [mode(path) for path in (tmp_path / "home", segment.parent, segment, program)] == [
        "0o700",
        "0o700",
        "0o600",
        "0o700",
    ]
    assert mode(tmp_path / "elsewhere") == "0o644"


def test_a_folder_that_holds_other_things_keeps_its_mode_and_what_is_made_in_it_is_closed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "of others").write_text("theirs")
    assert mode(Home(shared).folder("kafka")) == "0o700"
    assert mode(shared) == "0o755"
    assert mode(shared / "of others") == "0o644"


def test_what_a_daemon_writes_is_closed(tmp_path: Path) -> None:
    written, daemon = tmp_path / "written", Daemon(tmp_path / "pid")
    daemon.start([sys.executable, "-c", f"open({str(written)!r}, 'w')"], tmp_path / "log")
    wait_until(written.exists, what="the file", log=tmp_path / "log")
    assert mode(written) == "0o600"
