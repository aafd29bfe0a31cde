"""Usage APIs of tests: served in a thread of the test, or by a process that a test may kill; and figures for them."""

from __future__ import annotations

import hashlib
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bytemeter.settings import Settings
from bytemeter.web.server import Address
from serving.api.server import serve

DEADLINE_S = 60


@contextmanager
def serving(settings: Settings, *, host: str = "127.0.0.1", keys: Path | None = None) -> Iterator[str]:
    """A usage API on a free port; yields its URL. At the end it is drained."""
    stop = threading.Event()
    started: queue.Queue[str] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(serve, settings, Address(host, 0, keys), stop, started.put)
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
def process(settings: Settings, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``bytemeter api`` as a process of its own, and its URL; it is killed at the end."""
    command = [sys.executable, "-m", "cli", "api", "--port", str(port)]
    environment = {"BYTEMETER_DATABASE_URL": settings.require_database_url(), "PATH": "/usr/bin:/bin"}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running, running.stdout.readline().split()[-1]
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def keys_file(folder: Path, grants: Mapping[str, str]) -> Path:
    """A file of API keys: a client for each key, with what it may ask."""
    path = folder / "keys"
    path.write_text(
        "".join(f"of-{key} {hashlib.sha256(key.encode()).hexdigest()} {granted}\n" for key, granted in grants.items())
    )
    path.chmod(0o600)
    return path
