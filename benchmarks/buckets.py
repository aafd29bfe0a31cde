"""Object storage in memory on this machine, for the history in a bucket beside the history in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bytemeter.history.storage import EMULATOR
from embedded.home import free_port
from tests.buckets import buckets, server_program


@contextmanager
def bucket(home: Path) -> Iterator[str | None]:
    """The URI of a bucket, which Spark sessions that start from now on reach; None, with a line, where Go is absent."""
    program = server_program()
    if isinstance(program, str):
        print(f"history in a bucket: not measured, {program}")
        yield None
        return
    with buckets(program, home, free_port()) as storage:
        os.environ[EMULATOR] = storage.host
        yield storage.create("history")
