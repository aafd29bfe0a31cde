"""Collectors of tests: served in a thread of the test, or by a process that a test may kill."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from bytemeter.settings import Settings
from bytemeter.web.server import Address
from ingest.collector.server import Options, serve
from tests.servers import program, served

# Nobody listens there.
NO_KAFKA = "127.0.0.1:1"


def serving(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    keys: Path | None = None,
    journal: Path | None = None,
    generator: bool = False,
) -> AbstractContextManager[str]:
    """A collector on a free port; yields its URL. At the end it is drained."""
    options = Options(journal, generator)
    return served(lambda stop, started: serve(settings, Address(host, 0, keys), stop, started, options))


def process(
    settings: Settings, *options: str, port: int = 0, code: str | None = None
) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """``bytemeter collector`` as a process of its own, and its URL; it is killed at the end.

    Args:
        code: runs the command in place of ``bytemeter``.
    """
    variables = {
        "BYTEMETER_TOPIC_PREFIX": settings.topic_prefix,
        "BYTEMETER_COLLECTOR_TIMEOUT_S": str(settings.collector_timeout_s),
    }
    return program(["--kafka", str(settings.kafka), "collector", "--port", str(port), *options], variables, code)
