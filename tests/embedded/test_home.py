"""The embedded stack's folder: ports are remembered, daemons outlive the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from embedded.home import Daemon, Home, wait_until


def test_ports_are_chosen_once(tmp_path: Path) -> None:
    ports = [Home(tmp_path).port(name) for name in ("kafka", "postgresql", "kafka")]
    assert ports[0] == ports[2] != ports[1]


def test_ports_are_read_while_others_are_chosen(tmp_path: Path) -> None:
    names = [f"server-{n % 40}" for n in range(400)]
    with ThreadPoolExecutor(8) as threads:
        ports = list(threads.map(Home(tmp_path).port, names))
    assert dict(zip(names, ports, strict=True)) == {name: Home(tmp_path).port(name) for name in names}
    assert len(set(ports)) == 40


def test_a_daemon_outlives_its_starter_and_holds_none_of_its_files(tmp_path: Path) -> None:
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


def test_another_process_with_the_same_pid_is_not_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{os.getpid()} 1.0")
    assert Daemon(tmp_path / "pid").process() is None


def test_a_daemon_is_known_after_the_clock_was_set_back_by_a_minute(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "pid")
    daemon.start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    # The kernel then says that the machine was started a minute earlier. Here it says so in a namespace of its own.
    stat = Path("/proc/stat").read_text()
    (tmp_path / "stat").write_text(re.sub(r"(?<=btime )\d+", lambda now: str(int(now[0]) - 60), stat))
    code = "import sys; from pathlib import Path; from embedded.home import Daemon; print(Daemon(Path(sys.argv[1])).stop())"
    command = f'mount --bind "{tmp_path}/stat" /proc/stat && exec "{sys.executable}" -c "{code}" "{tmp_path}/pid"'
    try:
        done = subprocess.run(["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, check=False)
    finally:
        daemon.stop()
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("needs root with CAP_SYS_ADMIN, to show a process another time")
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_server_that_does_not_come_up_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BytemeterError, match="the server was not up after 0 s; see its log .*log"):
        wait_until(lambda: False, what="the server", log=tmp_path / "log", timeout_s=0.1)
