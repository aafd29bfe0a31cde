"""Servers over HTTP in tests: served in a thread of the test, or by a process that a test may kill; and their keys."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

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
def program(
    arguments: list[str], variables: Mapping[str, str], code: str | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of ``bytemeter`` that serves, as a process of its own, and its URL; it is killed at the end.

    Args:
        code: runs the command in place of ``bytemeter``.
    """
    command = [sys.executable, *(("-m", "cli") if code is None else ("-c", code)), *arguments]
    environment = {**variables, "PATH": "/usr/bin:/bin"}
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


@contextmanager
def connected(client: httpx.Client) -> Iterator[socket.socket]:
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S) as connection:
        yield connection


def answers_to(client: httpx.Client, *sent: bytes) -> list[tuple[int, bytes]]:
    """The answers, status and body, until the server closes the connection: it has to, whatever was sent."""
    received = b""
    with connected(client) as connection:
        # It may have closed the connection before it has read all.
        with contextlib.suppress(ConnectionError):
            for part in sent:
                connection.sendall(part)
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65_536):
                received += part
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
        answers.append((int(head.split(b" ")[1]), received[:length]))
        received = received[length:]
    return answers
