"""On a Python that Superset has no packages for, another one of the machine is taken, or one line says what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.versions import SUPERSET_PYTHON
from embedded.superset_python import superset_python


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH, empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_this_python_makes_the_environment_if_it_is_supported() -> None:
    assert superset_python([(3, 9), (sys.version_info[0], sys.version_info[1])]) == sys.executable


def test_another_python_of_the_machine_does_unless_it_cannot_make_environments(on_path: Path) -> None:
    broken, other = on_path / "python3.9", on_path / "python3.10"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    other.symlink_to(sys.executable)
    assert superset_python([(3, 9), (3, 10)]) == str(other)


def test_without_any_one_line_says_what_to_install(on_path: Path) -> None:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(
        BytemeterError, match=rf"Superset needs Python 3.8 or 3.9, this is {own}; install .*python3.9-venv"
    ):
        superset_python([(3, 8), (3, 9)])


def test_the_lock_is_for_the_supported_ones() -> None:
    lock = Path("serving/superset/requirements.txt").read_text()
    # The pins that have no wheel for a newer Python; once they are raised, look which Pythons fit.
    assert "\nnumpy==1.26.4 " in lock
    assert SUPERSET_PYTHON[-1] == (3, 12)
