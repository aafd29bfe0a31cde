"""Which Java runs Spark, and the errors without a supported one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.java import java_home
from tests.commands import fake_java


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_a_supported_java_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_home() == tmp_path


@pytest.mark.parametrize(("version", "message"), [("1.8.0_392", "is Java 8"), ("25.0.1", "is Java 25")])
def test_a_java_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, message: str
) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BytemeterError, match=f"{message}, Spark 4 needs 17 or 21; install"):
        java_home()


def test_a_missing_java_is_reported_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BytemeterError, match="no Java found in the PATH; install Java 17 or 21"):
        java_home()
