"""Collectors of tests: served in a thread of the test, or by a process that a test may kill."""

from __future__ import annotations

import hashlib
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bytemeter.settings import Settings
from bytemeter.web.server import Address
from ingest.collector.server import Options, serve

# Nobody listens there.
NO_KAFKA = "127.0.0.1:1"
DEADLINE_S = 60


@contextmanager
def serving(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    keys: Path | None = None,
    journal: Path | None = None,
    generator: bool = False,
) -> Iterator[str]:
    """A collector on a free port; yields its URL. At the end it is drained."""
    stop = threading.Event()
    started: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(serve, settings, Address(host, 0, keys), stop, started.put, Options(journal, generator))
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
def process(settings: Settings, *options: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``bytemeter collector`` as a process of its own, and its URL; it is killed at the end."""
    command = [sys.executable, "-m", "cli", "--kafka", str(settings.kafka), "collector", "--port", str(port), *options]
    environment = {
        "BYTEMETER_TOPIC_PREFIX": settings.topic_prefix,
        "BYTEMETER_COLLECTOR_TIMEOUT_S": str(settings.collector_timeout_s),
        "PATH": "/usr/bin:/bin",
    }
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running, running.stdout.readline().split()[-1]
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def keys_line(client: str, key: str, feeds: str) -> str:
    """A line of a file of API keys."""
    return f"{client} {hashlib.sha256(key.encode()).hexdigest()} {feeds}\n"
