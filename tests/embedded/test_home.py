"""The embedded stack's folder: ports are remembered, daemons outlive the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings, load_settings
from embedded.home import Daemon, Home, wait_until
from embedded.stack import EmbeddedStack, endpoints


def test_ports_are_chosen_once(tmp_path: Path) -> None:
    ports = [Home(tmp_path).port(name) for name in ("kafka", "postgresql", "kafka")]
    assert ports[0] == ports[2] != ports[1]


def test_a_daemon_is_found_again_and_stopped_and_holds_none_of_our_files(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "pid")
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        daemon.start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    process = Daemon(tmp_path / "pid").process()
    assert process is not None
    assert str(tmp_path / "ours") not in {file.path for file in process.open_files()}
    assert os.getsid(process.pid) == process.pid
    assert daemon.stop()
    assert daemon.process() is None
    assert not daemon.stop()


def test_another_process_with_the_same_pid_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{os.getpid()} 1.0")
    assert Daemon(tmp_path / "pid").process() is None


def test_what_does_not_come_up_is_told(tmp_path: Path) -> None:
    with pytest.raises(BytemeterError, match="the server was not up after 0 s; its log .*log tells why"):
        wait_until(lambda: False, what="the server", log=tmp_path / "log", timeout_s=0.1)


def test_a_running_stack_is_used_and_left_running(servers: Settings) -> None:
    said: list[str] = []
    with endpoints(load_settings(home=servers.home), "kafka", tell=said.append) as ready:
        assert (ready.kafka, ready.history) == (servers.kafka, servers.history)
    assert said == [f"using the embedded stack of {servers.home}"]
    assert EmbeddedStack(Home(servers.home)).running() == {"kafka": True, "postgresql": True}
