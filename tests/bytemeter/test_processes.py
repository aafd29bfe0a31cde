"""Processes are told apart by their pid and their start."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from bytemeter.processes import lives, start_of


def test_a_process_lives_that_has_the_pid_and_the_start() -> None:
    assert lives(os.getpid(), start_of(os.getpid()))
    assert not lives(os.getpid(), start_of(os.getpid()) + "0")


def test_a_process_that_has_ended_does_not_live_even_before_its_parent_has_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        start = start_of(child.pid)
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        assert not lives(child.pid, start)
    with pytest.raises(psutil.NoSuchProcess):
        start_of(child.pid)
    assert not lives(child.pid, start)
