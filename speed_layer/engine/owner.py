"""Names the process that holds a lease, so that others can tell whether it still runs."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
# A process id means something in its process namespace, and until the machine starts anew.
_BOOT, _NAMESPACE = _PROC / "sys/kernel/random/boot_id", _PROC / "self/ns/pid"
# In /proc/PID/stat, after the name in brackets: the state, and the start in clock ticks since the machine's start.
_STATE, _START = 0, 19


@cache
def this_process() -> str:
    """The name of this process, such as ``host 4711 88123 1f0c…``: host, pid, start, and where this pid is known."""
    pid = os.getpid()
    try:
        started = _stat(pid)[_START]
    except OSError:
        started = "unknown"
    return f"{socket.gethostname()} {pid} {started} {_where()}"


def shown(owner: str) -> str:
    """The name for people: process id and host."""
    host, pid, *_ = [*owner.split(), "", ""]
    return f"process {pid} on {host}"


def is_dead(owner: str) -> bool:
    """Whether the process is known to have ended; False if it may run, or runs where this process cannot see it."""
    try:
        _, pid, started, where = owner.split()
        if where != _where():
            return False
        stat = _stat(int(pid))
        return stat[_START] != started or stat[_STATE] == "Z"
    except FileNotFoundError:
        return True
    except (ValueError, OSError):
        return False


def _stat(pid: int) -> list[str]:
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


@cache
def _where() -> str:
    """The machine's start and the process namespace; on systems without these, only this process knows its pid."""
    try:
        return f"{_BOOT.read_text().strip()}/{_NAMESPACE.stat().st_ino}"
    except OSError:
        return f"unknown/{os.getpid()}"
