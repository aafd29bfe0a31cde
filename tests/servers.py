"""Servers over HTTP in tests: served in a thread of the test, or by a process that a test may kill; and their keys."""

from __future__ import annotations

import hashlib
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

DEADLINE_S = 60


@contextmanager
def served(serve: Callable[[threading.Event, Callable[[str], None]], None]) -> Iterator[str]:
    """A server in a thread; yields its URL. At the end it is drained.

    Args:
        serve: serves until the event is set, and calls back with the URL once it listens.
    """
    stop = threading.Event()
    started: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(serve, stop, started.put)
        run.add_done_callback(lambda _: started.put(""))
        try:
            url = started.get(timeout=DEADLINE_S)
            if not url:
                run.result()
            yield url
        finally:
            stop.set()
        run.result()


@contextmanager
def program(arguments: list[str], variables: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of ``bytemeter`` that serves, as a process of its own, and its URL; it is killed at the end."""
    command, environment = [sys.executable, "-m", "cli", *arguments], {**variables, "PATH": "/usr/bin:/bin"}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running, running.stdout.readline().split()[-1]
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def keys_line(client: str, key: str, grants: str) -> str:
    """A line of a file of API keys."""
    return f"{client} {hashlib.sha256(key.encode()).hexdigest()} {grants}\n"
