"""The command ``import``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bytemeter.ending import until_signal
from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.stack import endpoints

if TYPE_CHECKING:
    from ingest.importer.importing import Progress

_FEEDS = ("data-records", "billable-events")
_FORMATS = ("lines", "csv", "ndjson", "parquet", "asn1")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("place", metavar="FOLDER_OR_URI")
@click.option("--feed", type=click.Choice(_FEEDS), default=_FEEDS[0], help="whose records the files have")
@click.option("--format", "format_", type=click.Choice(_FORMATS), help="by default told from each file's content")
@click.option("--schema", type=_FILE, help="of call detail records (asn1): their ASN.1 module")
@click.option("--mapping", type=_FILE, help="of call detail records: a TOML file, which fields become which")
@click.option("--watch", is_flag=True, help="wait for more files until Ctrl-C")
@click.pass_obj
def import_files(
    settings: Settings,
    place: str,
    feed: str,
    format_: str | None,
    schema: Path | None,
    mapping: Path | None,
    watch: bool,
) -> None:
    """Bring files of records to a feed's topic, each line once; they move to done/ or failed/."""
    from ingest.importer.runs import Options, run_import

    if bool(schema) != bool(mapping) or bool(schema) != (format_ == "asn1"):
        raise click.UsageError("--format asn1, --schema FILE and --mapping FILE go together")
    with (
        until_signal() as signals,
        endpoints(settings, "kafka", "database_url", notify=notify) as ready,
        _bar() as progress,
        signals.deferred() as stop,
    ):
        run_import(ready, Options(place, feed, format_, watch, schema, mapping), stop, click.echo, progress)
    if signals.name and not watch:
        raise BytemeterError(f"ended by {signals.name} before all files were imported; run it again")


@contextmanager
def _bar() -> Iterator[Progress]:
    """A progress bar with lines/s and time left, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _lines, _read, _size: None
        return
    import time

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.fields[lines]:,} lines, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, began, before = bar.add_task("", lines=0, rate=0.0), time.monotonic(), 0

        def show(lines: int, read: int, size: int) -> None:
            nonlocal began, before
            if lines < before:
                began = time.monotonic()
                bar.reset(task)
            before = lines
            rate = lines / max(0.001, time.monotonic() - began)
            bar.update(task, completed=read, total=max(1, size), lines=lines, rate=rate)

        yield show
