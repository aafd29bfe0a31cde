"""How tests run commands and the mains of jobs: on the servers of their place, with a Java of any version."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from bytemeter.settings import Settings


def endpoints(place: Settings) -> list[str]:
    """The options by which ``bytemeter`` uses the servers of the place."""
    return [
        "--home", str(place.home), "--kafka", str(place.kafka), "--database-url", place.require_database_url(),
        "--history", place.require_history(),
    ]  # fmt: skip


def jdbc_url(place: Settings) -> str:
    """The database of the place as the mains of jobs take it."""
    url = make_url(place.require_database_url())
    return f"jdbc:postgresql://{url.host}:{url.port}/{url.database}?user={url.username}&password={url.password}"


@contextmanager
def signal_handlers_restored() -> Iterator[None]:
    """Undo the signal handlers that a command installs."""
    before = {ending: signal.getsignal(ending) for ending in (signal.SIGINT, signal.SIGTERM)}
    yield
    for ending, handler in before.items():
        signal.signal(ending, handler)


def fake_java(folder: Path, version: str) -> None:
    """Write a program ``bin/java`` that only says its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
