"""Signals that end a command: the first one ends its work, none its clean-up, and a terminal or a server may be gone."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import psutil
import pytest

from bytemeter.ending import ENDING, EndingSignals, Interrupted, interruptible, uninterrupted, until_signal
from bytemeter.errors import BytemeterError
from bytemeter.job import JobContext

WAIT_S = 20


@pytest.fixture(autouse=True)
def hang_up_ends() -> Iterator[None]:
    """SIGHUP as in a terminal, also where nohup runs the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def raise_in_vain(ending: signal.Signals) -> None:
    """Raise a signal that must interrupt nothing: what it would raise would end pytest, not the test."""
    try:
        signal.raise_signal(ending)
    except Interrupted:
        pytest.fail(f"{ending.name} has interrupted the block")


@pytest.mark.parametrize("ending", ENDING)
def test_the_first_signal_ends_the_work_and_no_further_one_the_clean_up(ending: signal.Signals) -> None:
    before = [signal.getsignal(number) for number in ENDING]
    cleaned = False
    with until_signal() as signals:
        try:
            signal.raise_signal(ending)
        finally:
            for number in ENDING:
                signal.raise_signal(number)
            cleaned = True
    assert (cleaned, signals.name) == (True, ending.name)
    assert [signal.getsignal(number) for number in ENDING] == before


def test_a_command_that_had_to_finish_fails_in_one_line() -> None:
    with (
        pytest.raises(BytemeterError, match="ended by SIGTERM before it was done; run it again"),
        interruptible(),
    ):
        signal.raise_signal(signal.SIGTERM)


def test_where_signals_are_deferred_they_are_noted_and_nothing_is_raised() -> None:
    with EndingSignals() as signals:
        with signals.deferred() as stop, uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            assert stop.wait(WAIT_S)
        signal.raise_signal(signal.SIGTERM)
    with EndingSignals(), pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_may_come_while_the_event_is_locked() -> None:
    """So it was, when several signals came at once, or one at the begin of a wait: the command never ended."""
    with until_signal() as signals:
        lock: threading.Condition = vars(signals.stop)["_cond"]
        with lock:
            signal.raise_signal(signal.SIGTERM)
    assert signals.stop.wait(WAIT_S)


def test_a_main_thread_that_waits_is_woken_by_a_signal_that_another_thread_takes() -> None:
    began = time.monotonic()
    with until_signal() as signals:
        condition: threading.Condition = vars(signals.stop)["_cond"]

        def take_signal() -> None:
            while not vars(condition)["_waiters"]:
                time.sleep(0.01)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

        threading.Thread(target=take_signal, daemon=True).start()
        signals.stop.wait(WAIT_S)
    assert signals.name == "SIGTERM"
    assert time.monotonic() - began < WAIT_S / 2


def test_a_command_started_by_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with EndingSignals() as signals:
            raise_in_vain(signal.SIGHUP)
            assert not signals.stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_a_command_that_goes_on_printing() -> None:
    code = (
        "import os, sys; from bytemeter.ending import until_signal\n"
        "with until_signal() as signals, signals.deferred() as stop:\n"
        "    print('waits', flush=True); stop.wait()\n"
        "print('cleaned up', flush=True); print('said', file=sys.stderr, flush=True)\n"
        "os.write(int(sys.argv[1]), signals.name.encode())"
    )
    ours, theirs = pty.openpty()
    read, write = os.pipe()
    command = [sys.executable, "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{code}", str(write)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, pass_fds=[write]
    )
    os.close(theirs)
    os.close(write)
    assert os.read(ours, 5) == b"waits"
    os.close(ours)
    assert process.wait(30) == 0
    assert os.read(read, 10) == b"SIGHUP"
    os.close(read)


# A process that starts a child, and then waits inside a database driver, which runs no signal handler of Python.
HANGING = """
import subprocess, sys, psycopg2
from bytemeter import ending
ending.GRACE_S = 0.2
with ending.interruptible():
    print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
    psycopg2.connect(host="127.0.0.1", port=int(sys.argv[1]), sslmode="disable")
"""


def test_a_process_that_waits_inside_a_database_driver_is_ended_after_the_grace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [sys.executable, "-c", HANGING, str(silent.getsockname()[1])]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as started:
            assert started.stdout is not None
            child = psutil.Process(int(started.stdout.readline()))
            with silent.accept()[0]:
                started.send_signal(signal.SIGTERM)
                _, written = started.communicate(timeout=WAIT_S)
        assert started.returncode == 1
        assert written.startswith("bytemeter: ended at once: a server did not answer within 0 s")
        child.wait(WAIT_S)


def test_what_ends_a_block_ends_the_blocks_around_it() -> None:
    with EndingSignals() as outer:
        with until_signal() as inner:
            signal.raise_signal(signal.SIGTERM)
        raise_in_vain(signal.SIGINT)
    assert (inner.name, outer.name) == ("SIGTERM", "SIGTERM")


def test_a_signal_whose_exception_is_lost_ends_a_job_before_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finalized:
        def __init__(self, raises: Callable[[], object]) -> None:
            self.raises = raises

        def __del__(self) -> None:
            # Nobody gets what a finalizer raises.
            self.raises()

    lost: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: lost.append(told.exc_type))
    context = JobContext(nullcontext, nullcontext)
    with interruptible():
        context.require_going_on()
        Finalized(lambda: signal.raise_signal(signal.SIGTERM))
        # Another error is still reported; the signal's is not.
        Finalized(lambda: 1 / 0)
        assert lost == [ZeroDivisionError]
        with pytest.raises(Interrupted, match="SIGTERM"):
            context.require_going_on()
