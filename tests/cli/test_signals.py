"""Signals that end commands: no traceback, the documented exit code, and no process is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bytemeter.feeds import DEVICES
from bytemeter.kafka import Kafka
from bytemeter.settings import PREFIX, Settings
from embedded.home import wait_until
from tests.commands import endpoints, processes_of

Rows = Callable[..., list[tuple[Any, ...]]]
SLEEP = "select pg_sleep(60)"


@pytest.fixture(autouse=True)
def hang_up_ends() -> Iterator[None]:
    """SIGHUP as in a terminal, also where nohup runs the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def started(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """A command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **variables},
    )


def test_signals_end_a_simulation(place: Settings, tmp_path: Path) -> None:
    kafka = Kafka(place)
    topic = kafka.topic_name(DEVICES.topic)

    def sends() -> bool:
        described = kafka.describe(topic)
        return described is not None and sum(described.latest.values()) > 0

    simulation = started(*endpoints(place), "simulate", "devices", **{f"{PREFIX}TOPIC_PREFIX": place.topic_prefix})
    try:
        wait_until(sends, what="the simulation", log=tmp_path)
        for ending in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.killpg(simulation.pid, ending)
        output, errors = simulation.communicate(timeout=60)
    finally:
        simulation.kill()
    assert (simulation.returncode, errors) == (0, "")
    assert output.startswith("sent ")


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["to the group", "to the command"])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_psql(
    place: Settings, rows: Rows, tmp_path: Path, send: Callable[[int, int], None], ending: signal.Signals
) -> None:
    command = started(*endpoints(place), "psql", "-c", SLEEP)
    running = "select pid from pg_stat_activity where query = :sleep and datname = current_database()"
    try:
        wait_until(lambda: bool(rows(running, sleep=SLEEP)), what="the query", log=tmp_path)
        children = psutil.Process(command.pid).children()
        send(command.pid, ending)
        _, errors = command.communicate(timeout=60)
    finally:
        command.kill()
    assert (command.returncode, errors) == (1, f"bytemeter: psql was ended by {ending.name}\n")
    assert [child for child in children if child.is_running()] == []


def test_ctrl_c_in_psql_cancels_its_query(place: Settings, rows: Rows, tmp_path: Path) -> None:
    command = started(*endpoints(place), "psql", "-c", SLEEP)
    running = "select pid from pg_stat_activity where query = :sleep and datname = current_database()"
    try:
        wait_until(lambda: bool(rows(running, sleep=SLEEP)), what="the query", log=tmp_path)
        os.killpg(command.pid, signal.SIGINT)
        _, errors = command.communicate(timeout=60)
    finally:
        command.kill()
    assert (command.returncode, errors) == (1, "Cancel request sent\nERROR:  canceling statement due to user request\n")


def test_signals_while_the_servers_start_leave_none_of_them(tmp_path: Path) -> None:
    home = tmp_path / "a b"
    up = started("--home", str(home), "up")
    try:
        wait_until((home / "kafka" / "pid").exists, what="the start of Kafka", log=tmp_path)
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.killpg(up.pid, ending)
        output, errors = up.communicate(timeout=60)
    finally:
        up.kill()
    assert (up.returncode, output) == (1, "")
    # Which of them comes first is the kernel's to say.
    assert re.fullmatch("bytemeter: ended by SIG(TERM|INT) before it was done; run it again\n", errors)
    wait_until(lambda: not processes_of(home), what=f"the end of {processes_of(home)}", log=home)
