"""Named statements: each file is read by name, and no statement is dead or unexplained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bytemeter.sql import Statements

PACKAGES = ("bytemeter", "speed_layer", "batch_layer", "ingest", "serving", "simulator", "embedded", "demo", "cli")
FILES = sorted(path for package in PACKAGES for path in Path(package).rglob("*.sql"))


def statements_of(path: Path) -> Statements:
    return Statements(".".join(path.parent.parts), path.name)


def test_a_statement_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somewhere").mkdir()
    (tmp_path / "somewhere" / "__init__.py").touch()
    (tmp_path / "somewhere" / "two.sql").write_text(
        "-- What both are for.\n\n-- name: first\n-- Why.\nselect 1;\n\n-- name: second\nselect :n\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = Statements("somewhere", "two.sql")
    assert found.raw("first") == "-- Why.\nselect 1"
    assert str(found["second"]) == "select :n"
    with pytest.raises(KeyError, match="third"):
        found["third"]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_each_statement_is_run_by_its_package_and_says_what_it_does(path: Path) -> None:
    code = "".join(module.read_text() for module in path.parent.glob("*.py"))
    for name, body in statements_of(path).by_name.items():
        assert re.search(rf"""["']{name}["']""", code), f"nothing in {path.parent} runs {name}"
        assert body.startswith("-- "), f"{path}: {name} has no comment"
