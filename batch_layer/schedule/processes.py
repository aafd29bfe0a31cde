"""Runs a scheduled job in a process of its own, and ends it when the scheduler ends, or when it hangs.

A process gives its memory back, can be ended whatever its JVM does, and takes nothing with it when it crashes. It costs
the start of Spark, some seconds, which a job that runs every few minutes can afford.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from batch_layer.schedule.due import Next
from bytemeter.ending import GRACE_S
from bytemeter.logs import logger

_POLL_S = 0.2


@dataclass(frozen=True)
class JobProcess:
    """Starts a command of ``bytemeter`` and waits for its end.

    The command reads the pipe of which this process has the other end: it ends when that end closes, so that no run
    outlives a scheduler that was killed.

    Attributes:
        program: the command line before the job's.
        environment: variables of the command.
        limit_s: after so many seconds it is ended.
        stop: ends it, too.
    """

    program: Sequence[str]
    environment: Mapping[str, str]
    limit_s: float
    stop: threading.Event

    def run(self, run: Next) -> None:
        """Run a job to its end, which it records itself."""
        command = [*self.program, *run.job.command, *run.options]
        deadline = time.monotonic() + self.limit_s
        with subprocess.Popen(command, env=dict(self.environment), stdin=subprocess.PIPE, process_group=0) as process:
            try:
                while process.poll() is None and not self.stop.is_set() and time.monotonic() < deadline:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_S)
                if process.poll() is None and not self.stop.is_set():
                    logger().warning("ending a run that takes too long", job=run.job.name, limit_s=self.limit_s)
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, then kill it with all that it has started."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def attended_program() -> list[str]:
    """The command line of ``bytemeter`` that ends with the process that started it; see ``cli/attended.py``."""
    return [sys.executable, "-m", "cli.attended"]
