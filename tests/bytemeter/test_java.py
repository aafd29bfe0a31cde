"""Which Java is taken, and what is said without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.java import java_home


def fake_java(folder: Path, version: str) -> None:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_a_supported_java_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_home() == tmp_path


@pytest.mark.parametrize(("version", "told"), [("1.8.0_392", "is Java 8"), ("25.0.1", "is Java 25")])
def test_another_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, told: str) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BytemeterError, match=f"{told}, Spark 4 needs 17 or 21; install"):
        java_home()


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BytemeterError, match="no Java found in the PATH; install Java 17 or 21"):
        java_home()
