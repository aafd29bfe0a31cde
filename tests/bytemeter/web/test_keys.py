"""API keys: who may send what, changed without a restart, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.web.keys import Keys
from bytemeter.web.problems import Problem
from ingest.collector.clients import CLIENTS
from tests.servers import keys_line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(
        "# clients\n\n"
        + keys_line("game", "key-1", "game-events,devices  # since May")
        + keys_line("all", "key-2", "*")
    )
    path.chmod(0o600)
    return path


def test_a_key_gives_its_client_and_its_feeds(file: Path) -> None:
    keys = Keys(file, CLIENTS)
    game = keys.client("Bearer key-1")
    assert game.name == "game"
    game.require("devices")
    with pytest.raises(Problem, match="may not send to the feed 'agreements'") as caught:
        game.require("agreements")
    assert caught.value.status == 403
    keys.client("bearer  key-2").require("agreements")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer key-3", "Basic key-1", "key-1", "Bearer key-1 key-1"])
def test_a_request_without_a_known_key_is_refused(file: Path, header: str | None) -> None:
    with pytest.raises(Problem, match="expected the header Authorization: Bearer KEY") as caught:
        Keys(file, CLIENTS).client(header)
    assert caught.value.status == 401
    assert "key-" not in str(caught.value)


def test_keys_are_rotated_without_a_restart_and_a_broken_file_changes_nothing(file: Path) -> None:
    now = 0.0
    keys = Keys(file, CLIENTS, lambda: now)
    both = file.read_text() + keys_line("game", "key-new", "game-events")
    for text, known in ((both, ["key-1", "key-new"]), ("nonsense", ["key-1", "key-new"]), (None, ["key-1"])):
        if text is None:
            file.unlink()
        else:
            replaced = file.with_suffix(".new")
            replaced.write_text(text)
            replaced.chmod(0o600)
            replaced.replace(file)
        now += 2
        for key in known:
            assert keys.client(f"Bearer {key}").name == "game"
    file.write_text(keys_line("game", "key-new", "game-events"))
    file.chmod(0o600)
    now += 2
    with pytest.raises(Problem):
        keys.client("Bearer key-1")
    assert keys.client("Bearer key-new").name == "game"


def test_a_file_that_becomes_usable_by_its_mode_alone_is_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    keys = Keys(file, CLIENTS, lambda: now)
    file.write_text(keys_line("game", "key-new", "game-events"))
    for mode, key in ((0o666, "key-1"), (0o666, "key-1"), (0o600, "key-new")):
        file.chmod(mode)
        now += 2
        assert keys.client(f"Bearer {key}").name == "game"
        now += 2
        assert keys.client(f"Bearer {key}").name == "game"
    complaints = [line for line in capsys.readouterr().err.splitlines() if "API keys stay as they were" in line]
    assert len(complaints) <= 2
    assert "open to all users" in complaints[0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (2 * keys_line("game", "key-1", "devices"), "line 2 of .* has the key of an earlier line"),
        ("game key-1 devices", "line 1 of .* is malformed; expected CLIENT, the SHA-256"),
        (keys_line("game", "key-1", "devices,phones"), "names the feed 'phones'; the feeds are devices, "),
    ],
)
def test_a_malformed_line_is_named_but_not_shown(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "keys"
    file.write_text(line)
    file.chmod(0o600)
    with pytest.raises(BytemeterError, match=complaint) as caught:
        Keys(file, CLIENTS)
    assert "key-1" not in str(caught.value)


def test_a_file_that_others_may_read_or_that_is_absent_is_refused(file: Path) -> None:
    file.chmod(0o644)
    with pytest.raises(BytemeterError, match="open to all users of this machine"):
        Keys(file, CLIENTS)
    with pytest.raises(BytemeterError, match="cannot be read"):
        Keys(file.with_name("absent"), CLIENTS)
