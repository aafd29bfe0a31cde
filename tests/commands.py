"""How tests run commands and the mains of jobs: on the servers of their place, with a Java of any version."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
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


def signal_group(process: subprocess.Popen[bytes], sent: signal.Signals) -> None:
    """Signal a process that has a group of its own, and all that it started, such as its JVM."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, sent)


def fake_java(folder: Path, version: str) -> None:
    """Write a program ``bin/java`` that only says its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)


def open_to_others(folder: Path) -> list[Path]:
    """What in a folder, itself included, anyone but its owner may read, write or run."""
    found = (path for path in (folder, *folder.rglob("*")) if not path.is_symlink())
    return [path for path in found if path.stat().st_mode & 0o077]


def processes_of(home: Path) -> list[str]:
    """The processes that work for a home: it is on their command line, or they work in it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if str(home) in " ".join(process.cmdline()) or process.cwd().startswith(str(home)):
                found.append(f"{process.pid} {process.cmdline()}")
    return found
