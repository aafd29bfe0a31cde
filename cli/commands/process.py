"""What the commands have in common: notices on standard error, and a Spark session of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bytemeter.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def notify(message: str) -> None:
    """Print a notice that is not part of a command's result."""
    click.echo(f"bytemeter: {message}", err=True)


def spark_session(settings: Settings) -> SparkSession:
    """A Spark session of this machine."""
    from bytemeter.spark import local_session

    gcs = (settings.history or "").startswith("gs://")
    return local_session("bytemeter", logs=settings.home / "logs", memory=settings.driver_memory, gcs=gcs)
