"""The demo from an empty home: figures appear, signals end it, no process is left, the data stay, closed to others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import text

from bytemeter.postgres import database
from embedded.database import Database
from embedded.home import Home
from embedded.stack import EmbeddedStack
from tests.commands import open_to_others, processes_of

DEADLINE_S = 150


@pytest.fixture
def empty_home(tmp_path: Path) -> Iterator[Path]:
    """A home with a space in its name, below a folder that only its owner may enter."""
    home = tmp_path / "closed" / "a b"
    home.parent.mkdir(0o700)
    yield home
    EmbeddedStack(Home(home)).down()


def test_the_demo_shows_figures_and_signals_to_its_group_end_it(empty_home: Path, tmp_path: Path) -> None:
    modes = {path: path.stat().st_mode for path in empty_home.parents}
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
        # Before the first figures, or soon after them.
        while (found := re.search(r"live figures in a browser: (\S+)", shown.read_text())) is None:
            assert time.monotonic() < deadline, shown.read_text()
            time.sleep(0.2)
        page = httpx.get(found[1], timeout=DEADLINE_S)
        assert (page.status_code, "<title>Bytemeter</title>" in page.text) == (200, True)
        # The first figures may be those of another feed.
        while not httpx.get(f"{found[1]}/v1/usage?feed=devices&dimension=app", timeout=DEADLINE_S).json()["rows"]:
            assert time.monotonic() < deadline, shown.read_text()
            time.sleep(0.2)
        url = re.search(r"collector: (http://\S+),", shown.read_text())
        assert url, shown.read_text()
        assert httpx.get(f"{url[1]}/join_guild", timeout=DEADLINE_S).text == "\nGuild Joined!\n"
        counted = "select count(*) > 0 from event_counts where feed = 'game-events'"
        funnel = "select min(messages) > 0 from telemetry_funnel where name in ('ingest', 'raw', 'unique', 'failed', 'duplicate')"
        # By a connection: each start of psql's command would take a second from the demo.
        with database(Database(Home(empty_home)).url).connect() as connection:
            for question in (counted, funnel):
                while not connection.scalar(text(question)):
                    assert time.monotonic() < deadline, shown.read_text()
                    connection.rollback()
                    time.sleep(0.2)
        children = psutil.Process(demo.pid).children(recursive=True)
        # As systemd does, to all that run in it; then somebody is impatient.
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.killpg(demo.pid, ending)
        assert demo.wait(DEADLINE_S) == 0, shown.read_text()
    told = shown.read_text()
    assert "stopped; the data stay" in told
    assert "Traceback" not in told
    # Spark's JVM ends when it notices that the demo has ended.
    while left := [*processes_of(empty_home), *(child for child in children if runs(child))]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert open_to_others(empty_home) == []
    assert {path: path.stat().st_mode for path in modes} == modes
    stayed = [*command, "psql", "-Atc", "select count(*) > 0 from usage_hourly"]
    done = subprocess.run(stayed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "t\n"), done.stderr


def runs(process: psutil.Process) -> bool:
    """Whether a process has not ended. One that nobody has asked how it ended is still listed."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
