"""Names the process that holds a lease, so that others can tell whether it still runs."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

from bytemeter.processes import boot_id, lives, start_of

_NAMESPACE = Path("/proc/self/ns/pid")


@cache
def this_process() -> str:
    """The name of this process: host, pid, start, and where this pid is known, with spaces between them."""
    pid = os.getpid()
    return f"{socket.gethostname()} {pid} {start_of(pid)} {_where()}"


def shown(owner: str) -> str:
    """The name for people: process id and host."""
    host, pid, *_ = [*owner.split(), "", ""]
    return f"process {pid} on {host}"


def is_dead(owner: str) -> bool:
    """Whether the process is known to have ended; False if it may run, or runs where this process cannot see it."""
    try:
        _, pid, start, where = owner.split()
        return where == _where() and not lives(int(pid), start)
    except ValueError:
        return False


@cache
def _where() -> str:
    """Where a pid means the same: in its process namespace, until the machine starts anew.

    On a system without these only this process knows its pid.
    """
    try:
        return f"{boot_id()}/{_NAMESPACE.stat().st_ino}"
    except OSError:
        return f"unknown/{os.getpid()}"
