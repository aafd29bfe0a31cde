"""Signals end a command in order, and at once at the second one or when it takes too long: seen on real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from bytemeter.ending import ENDING, ended_by_signals, stopped_by_signal

WAIT_S = 20
SIGNALS = pytest.mark.parametrize("ending", ENDING, ids=lambda number: number.name)

# A process that starts a child, says so, and then does what is given; its grace is short.
PROGRAM = """
import subprocess, time
from bytemeter import ending
ending.GRACE_S = {grace_s}
with ending.ended_by_signals():
    {prepare}
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    {work}
"""


@contextmanager
def process(
    work: str, *, prepare: str = "pass", grace_s: float = 60
) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process that works, and its child."""
    program = textwrap.dedent(PROGRAM).format(work=work, prepare=prepare, grace_s=grace_s)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        child = psutil.Process(int(started.stdout.readline()))
        try:
            yield started, child
        finally:
            started.kill()
            if child.is_running():
                child.kill()


@SIGNALS
def test_the_first_signal_interrupts_the_main_thread(ending: signal.Signals) -> None:
    def wait_for_the_signal() -> None:
        with ended_by_signals():
            os.kill(os.getpid(), ending)
            signal.pause()

    with pytest.raises(KeyboardInterrupt):
        wait_for_the_signal()


@SIGNALS
def test_the_first_signal_sets_the_event_of_a_command_that_has_one(ending: signal.Signals) -> None:
    with ended_by_signals():
        stop = stopped_by_signal()
        assert not stop.is_set()
        os.kill(os.getpid(), ending)
        assert stop.wait(WAIT_S)


def test_signal_handlers_are_those_of_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with ended_by_signals():
        stopped_by_signal()
    assert [signal.getsignal(number) for number in ENDING] == before


@SIGNALS
def test_the_second_signal_ends_a_process_and_its_children_at_once(ending: signal.Signals) -> None:
    work, prepare = "stop.wait(); print('stopping', flush=True); time.sleep(60)", "stop = ending.stopped_by_signal()"
    with process(work, prepare=prepare) as (started, child):
        assert started.stdout is not None
        started.send_signal(ending)
        assert started.stdout.readline() == "stopping\n"
        started.send_signal(ending)
        _, written = started.communicate(timeout=WAIT_S)
        assert started.returncode == 1
        assert written == (
            "bytemeter: was asked to end a second time; ended at once, what was not committed is done again at the "
            "next start\n"
        )
        child.wait(WAIT_S)


def test_a_main_thread_that_waits_inside_a_database_driver_is_ended_after_the_grace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        work = f"import psycopg2; psycopg2.connect(host='127.0.0.1', port={silent.getsockname()[1]}, sslmode='disable')"
        with process(work, grace_s=0.2) as (started, child), silent.accept()[0]:
            started.send_signal(signal.SIGTERM)
            _, written = started.communicate(timeout=WAIT_S)
            assert started.returncode == 1
            assert written.startswith("bytemeter: did not end within 0 s: a server does not answer; ended at once")
            child.wait(WAIT_S)


def test_a_signal_that_was_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            stop = stopped_by_signal()
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
