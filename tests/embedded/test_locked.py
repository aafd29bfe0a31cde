"""A lock is installed from the index of pip's settings, by uv or else by pip, and nothing whose hash differs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from embedded import locked


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an empty environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return str(folder / "bin" / "python")


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of one package, which lies in a folder that only pip's own settings name."""
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing.py", "")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "thing.py,,\n")
    line = f"thing==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    for name in ("build.txt", "lock.txt"):
        (tmp_path / name).write_text(line)
    (tmp_path / "uv.txt").write_text("not-to-be-had==1.0 --hash=sha256:" + 64 * "0")
    (tmp_path / "pip.conf").write_text(f"[global]\nno-index = true\n[install]\nfind-links = {tmp_path}\n")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setattr(locked, "LOCKS", tmp_path)
    return tmp_path / "lock.txt"


def installed(python: str) -> bool:
    """Whether the environment has the package; it is removed for the next test."""
    found = subprocess.run([python, "-c", "import thing"], capture_output=True, check=False).returncode == 0
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "thing"], capture_output=True, check=True)
    return found


def test_uv_installs_from_where_pips_settings_say(python: str, lock: Path) -> None:
    said: list[str] = []
    locked.install(python, [lock], locked.quietly, said.append)
    assert (installed(python), said) == (True, [])


def test_where_uv_is_not_to_be_had_pip_installs_and_a_line_says_why(
    python: str, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python)  # no uv beside it
    said: list[str] = []
    locked.install(python, [lock], locked.quietly, said.append)
    assert installed(python)
    (line,) = said
    assert line.startswith("uv does not install (python failed: ")
    assert line.endswith("); pip installs the same locks, more slowly")


def test_another_file_than_the_locked_one_is_refused(python: str, lock: Path) -> None:
    for path in (lock, lock.with_name("build.txt")):
        path.write_text("thing==1.0 --hash=sha256:" + 64 * "0")
    with pytest.raises(BytemeterError, match="python failed: Expected sha256 0000"):
        locked.install(python, [lock], locked.quietly, lambda _: None)


def test_what_the_environment_says_to_uv_wins_over_pips_settings(
    python: str, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://first/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://second/simple https://third/simple")
    monkeypatch.setenv("UV_NO_INDEX", "0")
    settings = locked.uv_settings(python)
    assert settings["UV_DEFAULT_INDEX"] == "https://first/simple"
    assert settings["UV_INDEX"] == "https://second/simple https://third/simple"
    assert settings["UV_FIND_LINKS"] == str(lock.parent)
    assert "UV_NO_INDEX" not in settings
