"""Usage APIs of tests: served in a thread of the test, or by a process that a test may kill; and figures for them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bytemeter.settings import Settings
from bytemeter.web.server import Address
from serving.api.server import serve
from tests.servers import keys_line, program, served


def serving(settings: Settings, *, host: str = "127.0.0.1", keys: Path | None = None) -> AbstractContextManager[str]:
    """A usage API on a free port; yields its URL. At the end it is drained."""
    return served(partial(serve, settings, Address(host, 0, keys)))


def process(settings: Settings, port: int = 0) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """``bytemeter api`` as a process of its own, and its URL; it is killed at the end."""
    return program(["api", "--port", str(port)], {"BYTEMETER_DATABASE_URL": settings.require_database_url()})


def keys_file(folder: Path, grants: Mapping[str, str]) -> Path:
    """A file of API keys: a client for each key, with what it may ask."""
    path = folder / "keys"
    path.write_text("".join(keys_line(f"of-{key}", key, granted) for key, granted in grants.items()))
    path.chmod(0o600)
    return path
