"""Tells a process by its pid and its start: also once the pid was used again, and after the clock was set."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

# Linux gives the start in clock ticks since the start of the machine, as the 20th field after the name in brackets.
_START = 19


def boot_id() -> str:
    """The present run of the machine.

    Raises:
        OSError: this system has none.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_of(pid: int) -> str:
    """When a process started, as one word that stays the same when the clock of the machine is set.

    Raises:
        psutil.NoSuchProcess: it has ended.
    """
    if sys.platform != "linux":
        return str(psutil.Process(pid).create_time())
    # As a time of day, it would move with the clock.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return f"{boot_id()}/{stat.rpartition(')')[2].split()[_START]}"


def lives(pid: int, start: str) -> bool:
    """Whether the process that has this start (see ``start_of``) still runs; a zombie does not."""
    try:
        return start_of(pid) == start and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
