"""The demo from an empty home: figures appear, Ctrl-C ends it, no process is left, the data stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded.home import Home
from embedded.stack import EmbeddedStack

DEADLINE_S = 150


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A home in a folder that the system user of the database can enter; the folders of pytest are closed to it."""
    with tempfile.TemporaryDirectory(prefix="bytemeter-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "home"
        EmbeddedStack(Home(Path(folder) / "home")).down()


def test_the_demo_shows_figures_and_ctrl_c_ends_it(empty_home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "cli", "--home", str(empty_home)]
    shown = tmp_path / "shown"
    with shown.open("w") as output:
        demo = subprocess.Popen(
            [*command, "demo", "--no-dashboards"],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + DEADLINE_S
        while "first figures after" not in shown.read_text():
            assert demo.poll() is None, shown.read_text()
            assert time.monotonic() < deadline, shown.read_text()
            time.sleep(0.2)
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does, to all that run in it
        assert demo.wait(DEADLINE_S) == 0, shown.read_text()
    text = shown.read_text()
    assert "stopped; the data stay" in text
    assert "Traceback" not in text
    # Spark's JVM ends when it notices that the demo has ended.
    while left := [p.info for p in psutil.process_iter(["cmdline"]) if str(empty_home) in str(p.info["cmdline"])]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    done = subprocess.run(
        [*command, "psql", "-Atc", "select count(*) > 0 from usage_hourly"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "t\n"), done.stderr
