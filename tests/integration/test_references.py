"""``bytemeter load`` on a real database: all rows of a file or none, and the same file twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bytemeter.settings import Settings
from cli.main import main
from tests.commands import endpoints

Rows = Callable[..., list[tuple[Any, ...]]]


def test_a_file_is_loaded_changed_replaced_and_its_bad_rows_are_told(
    as_writer: Settings, tmp_path: Path, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "users.csv"

    def loaded(content: str, *options: str) -> tuple[int, str, list[str]]:
        file.write_text("uid,first_name,tags:json\n" + content)
        code = main([*endpoints(as_writer), "load", "user", str(file), "--key", "uid", *options])
        printed = capsys.readouterr()
        return code, printed.out.strip(), printed.err.splitlines()

    content = 'user:a,Ann,"[""x\\\\y""]"\nb,"Bo\tb\n",\n'
    assert loaded(content) == (0, "loaded 2 rows of user: 2 new, 0 changed, 0 as before; 0 removed, 0 bad", [])
    before = rows("select id, data, changed_at from reference_users order by id")
    assert [(id_, data) for id_, data, _ in before] == [
        ("a", {"first_name": "Ann", "tags": ["x\\y"]}),
        ("b", {"first_name": "Bo\tb\n"}),
    ]
    assert loaded(content)[1] == "loaded 2 rows of user: 0 new, 0 changed, 2 as before; 0 removed, 0 bad"
    assert rows("select id, data, changed_at from reference_users order by id") == before

    code, line, errors = loaded("a,Anna,\nc,Cy,\n,Dee,\na,Another,\n", "--replace")
    assert (code, line) == (1, "loaded 2 rows of user: 1 new, 1 changed, 0 as before; 1 removed, 2 bad")
    assert errors == [
        "bytemeter: row 4: no id; left out",
        "bytemeter: row 5: the id 'a' stands further above, too; left out",
    ]
    assert rows("select id, data->>'first_name' from reference_users order by id") == [("a", "Anna"), ("c", "Cy")]


def test_what_cannot_be_loaded_changes_nothing_and_is_one_line(
    as_writer: Settings, tmp_path: Path, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("id,status\nklq2g7,Live\n")
    assert main([*endpoints(as_writer), "load", "dialcode", str(file)]) == 0
    assert rows("select id from reference_dialcodes") == [("KLQ2G7",)]
    assert main([*endpoints(as_writer), "load", "dialcode", str(file), "--key", "code", "--replace"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "has the columns id, status; expected each once, and one named 'code'" in line
    assert main([*endpoints(as_writer), "load", "phone", str(file)]) == 2
    assert rows("select id from reference_dialcodes") == [("KLQ2G7",)]
