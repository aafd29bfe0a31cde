"""What the commands have in common: notices on standard error, and a Spark session of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bytemeter.settings import Settings
from embedded.home import Home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Where a command's context keeps the umask with which it was called.
CALLERS_UMASK = "bytemeter.umask"


def notify(message: str) -> None:
    """Print a notice that is not part of a command's result."""
    click.echo(f"bytemeter: {message}", err=True)


@contextmanager
def spark_session(settings: Settings) -> Iterator[Future[SparkSession]]:
    """A Spark session of this machine, which starts while the command goes on, e.g. imports its layer."""
    from bytemeter.spark import keep_archive, local_session

    gcs = (settings.history or "").startswith("gs://")
    logs, memory = Home(settings.home).folder("logs"), settings.driver_memory
    with ThreadPoolExecutor(1) as starting:
        session = starting.submit(
            local_session, "bytemeter", logs=logs, memory=memory, gcs=gcs, writes_archive=settings.class_archive
        )
        yield session
        keep_archive(session.result())
