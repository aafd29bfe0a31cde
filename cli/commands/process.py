"""What commands share of their process: its messages, its Spark session, its end by a signal."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from bytemeter.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def tell(message: str) -> None:
    click.echo(f"bytemeter: {message}", err=True)


def spark_session(settings: Settings) -> SparkSession:
    from bytemeter.spark import local_session

    gcs = (settings.history or "").startswith("gs://")
    return local_session("bytemeter", logs=settings.home / "logs", memory=settings.driver_memory, gcs=gcs)


def stopped_by_signal() -> threading.Event:
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, end)
    return stop
