"""The embedded stack as the source of endpoints: used where none are given, and left as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings, load_settings
from embedded.home import Home
from embedded.stack import EmbeddedStack, endpoints


def test_a_running_stack_is_used_and_left_running(servers: Settings) -> None:
    notices: list[str] = []
    with endpoints(load_settings(home=servers.home), "kafka", notify=notices.append) as ready:
        assert (ready.kafka, ready.history) == (servers.kafka, servers.history)
    assert notices == [f"using the embedded stack of {servers.home}"]
    assert EmbeddedStack(Home(servers.home)).running() == {"kafka": True, "postgresql": True}


def test_given_endpoints_are_used_and_all_missing_ones_are_named() -> None:
    given = load_settings(kafka="broker:9092")
    notices: list[str] = []
    with endpoints(given, "kafka", notify=notices.append) as ready:
        assert ready is given
    with (
        pytest.raises(
            BytemeterError, match="BYTEMETER_KAFKA is set but BYTEMETER_DATABASE_URL, BYTEMETER_HISTORY is not"
        ),
        endpoints(given, "kafka", "database_url", "history", notify=notices.append),
    ):
        pass
    assert notices == []


def _using(home: Path) -> subprocess.Popen[str]:
    """Another process that uses the stack of a home until its input ends."""
    code = (
        "import sys; from pathlib import Path; from embedded.home import Home; from embedded.stack import EmbeddedStack\n"
        "with EmbeddedStack(Home(Path(sys.argv[1]))).used() as started:\n"
        "    print(sorted(started), flush=True); sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_last_user_stops_the_stack_and_dead_users_do_not_count(tmp_path: Path) -> None:
    stack = EmbeddedStack(Home(tmp_path))
    first, second, killed = _using(tmp_path), _using(tmp_path), _using(tmp_path)
    try:
        lines = [_line(process) for process in (first, second, killed)]
        assert sorted(lines) == ["['kafka', 'postgresql']", "[]", "[]"]
        killed.kill()
        killed.communicate()
        first.communicate()
        assert stack.running() == {"kafka": True, "postgresql": True}
        second.communicate()
        assert stack.running() == {"kafka": False, "postgresql": False}
    finally:
        for process in (first, second, killed):
            process.kill()
            process.communicate()
        stack.down()


def test_a_stack_that_is_up_outlives_its_users(tmp_path: Path) -> None:
    stack = EmbeddedStack(Home(tmp_path))
    try:
        with stack.used():
            assert stack.up() == []
        assert all(stack.running().values())
        with stack.used() as started:
            assert started == []
        assert sorted(stack.down()) == ["kafka", "postgresql"]
    finally:
        stack.down()
