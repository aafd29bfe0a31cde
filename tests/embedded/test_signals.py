"""Signals that end a command: the first one ends its work, none its clean-up, and a terminal may be gone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bytemeter.errors import BytemeterError
from embedded.signals import EndingSignals, Interrupted, interruptible, uninterrupted, until_signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def hang_up_ends() -> Iterator[None]:
    """SIGHUP as in a terminal, also where nohup runs the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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
            assert stop.is_set()
        signal.raise_signal(signal.SIGTERM)
    with EndingSignals(), pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)


def test_a_command_started_by_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with EndingSignals() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert not signals.stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_a_command_that_goes_on_printing() -> None:
    code = (
        "import os, sys; from embedded.signals import until_signal\n"
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
