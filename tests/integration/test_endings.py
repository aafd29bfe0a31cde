"""How `bytemeter stream` ends: by signals, in a closed terminal, with a frozen server, and when its JVM dies.

Each ending is that of a real process with records in flight. None leaves a traceback or a child behind, and what was not
counted is counted by the next start.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from bytemeter.settings import Settings
from simulator.traffic import Sent
from tests.commands import endpoints

Rows = Callable[..., list[tuple[Any, ...]]]

START_S = 90
# Service managers kill after 30 s.
END_S = 30
BATCH = 100
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


@dataclass
class Streaming:
    """A process that counts devices.

    Attributes:
        children: its JVM, and the Python workers of that.
    """

    process: subprocess.Popen[bytes]
    children: list[psutil.Process]
    log: Path

    def wait(self) -> int:
        """Its exit code; all its children have ended, too."""
        code = self.process.wait(END_S)
        _, alive = psutil.wait_procs(self.children, 10)
        assert not alive, [child.cmdline()[:3] for child in alive]
        return code

    def unlogged(self) -> list[str]:
        """The lines on standard error that are no lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if not line[:4].isdigit()]


@pytest.fixture
def start(place: Settings, tmp_path: Path, rows: Rows) -> Callable[..., Any]:
    """Start a process that counts devices, and wait until it counts."""

    @contextmanager
    def streaming(**options: Any) -> Iterator[Streaming]:
        environment = {
            **os.environ,
            "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
            "BYTEMETER_MAX_RECORDS_PER_BATCH": str(BATCH),
            "BYTEMETER_DRIVER_MEMORY": "700m",
        }
        log = tmp_path / "stream.log"
        command = [sys.executable, "-m", "cli", *endpoints(place), "stream", "devices"]
        before = received(rows)
        with log.open("wb") as output:
            given = {
                "stdin": subprocess.DEVNULL,
                "stdout": output,
                "stderr": output,
                "start_new_session": True,
                **options,
            }
            process = subprocess.Popen(command, env=environment, **given)
        try:
            wait_until(lambda: received(rows) > before, process)
            yield Streaming(process, psutil.Process(process.pid).children(recursive=True), log)
        finally:
            process.kill()
            process.wait()

    return streaming


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while not reached():
        assert process.poll() is None, "the streaming process ended by itself"
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def received(rows: Rows) -> int:
    return int(rows("select coalesce(sum(received), 0) from ledger")[0][0])


@pytest.fixture
def sent(simulate: Callable[..., Sent]) -> Sent:
    """Many micro-batches."""
    return simulate(400 * BATCH)


@pytest.fixture
def require_all_counted(place: Settings, sent: Sent, stream: Callable[..., None], rows: Rows) -> Callable[[], None]:
    """The next start counts the rest, each byte once."""

    def required() -> None:
        stream()
        assert rows("select sum(value) from bytes where type like 'app%'") == [(sent.valid_bytes,)]

    return required


def test_sigterm_to_all_of_its_processes_ends_it_in_order(
    start: Callable[..., Any], sent: Sent, require_all_counted: Callable[[], None], rows: Rows
) -> None:
    """As systemd does: the JVM and the Python workers are signalled, too."""
    with start() as streaming:
        for process in [*streaming.children, psutil.Process(streaming.process.pid)]:
            process.terminate()
        assert streaming.wait() == 0
        assert streaming.unlogged() == []
    assert received(rows) < sent.records, "all was counted before the signal came"
    assert rows("select distinct heard_at = '-infinity' from leases") == [(True,)]
    require_all_counted()


def test_a_dead_jvm_ends_it_with_one_line(
    start: Callable[..., Any], sent: Sent, require_all_counted: Callable[[], None], rows: Rows
) -> None:
    with start() as streaming:
        (jvm,) = (child for child in streaming.children if child.name() == "java")
        jvm.kill()
        assert streaming.wait() == 1
        assert len(streaming.unlogged()) == 1, streaming.unlogged()
        (line,) = streaming.unlogged()
        assert line.startswith("bytemeter: the query ")
        assert "lost Spark's JVM, which was killed by signal 9; read spark.out" in line
    assert received(rows) < sent.records, "all was counted before the JVM died"
    require_all_counted()


def test_a_closed_terminal_ends_it_and_a_frozen_server_does_not_keep_it(
    start: Callable[..., Any], sent: Sent, require_all_counted: Callable[[], None], rows: Rows
) -> None:
    with terminal() as (options, screen), start(**options) as streaming:
        ((session,),) = rows("select distinct session from leases")
        frozen = psutil.Process(session)
        frozen.suspend()
        try:
            # The micro-batch that is read next waits in its transaction.
            seen = screen.lines("read")
            wait_until(lambda: screen.lines("read") > seen, streaming.process)
            screen.close()
            assert streaming.wait() == 1
        finally:
            frozen.resume()
    assert received(rows) < sent.records, "all was counted before the terminal was closed"
    require_all_counted()


@dataclass
class Screen:
    """What a process has printed to its terminal."""

    terminal: int
    printed: bytearray = field(default_factory=bytearray)
    closed: threading.Event = field(default_factory=threading.Event)

    def lines(self, event: str) -> int:
        """How many lines of the log tell of such an event."""
        return COLOURS.sub(b"", self.printed).count(f"] {event} ".encode())

    def read(self) -> None:
        """Read until it is closed."""
        while not self.closed.is_set():
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.printed += os.read(self.terminal, 65_536)

    def close(self) -> None:
        """Close the terminal, as a window that is closed."""
        self.closed.set()
        self.reader.join()
        os.close(self.terminal)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()


@contextmanager
def terminal() -> Iterator[tuple[dict[str, Any], Screen]]:
    """A terminal, as options of a process that has it as its controlling one, and what is printed to it."""
    ours, its = pty.openpty()

    def take() -> None:
        # Also where nohup runs the tests.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.setsid()
        os.close(os.open(os.ttyname(its), os.O_RDWR))

    yield {"stdin": its, "stdout": its, "stderr": its, "start_new_session": False, "preexec_fn": take}, Screen(ours)
    os.close(its)
