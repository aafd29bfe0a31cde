"""All files that wait in a place: once, or as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from bytemeter.errors import BytemeterError
from bytemeter.kafka import Kafka
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from ingest.importer.importing import Import, Outcome, Progress, import_file
from ingest.importer.mapping import MAPPINGS
from ingest.importer.places import Place

_LOOK_S = 1.0


@dataclass(frozen=True)
class Options:
    """What the command says.

    Attributes:
        uri: a folder, or an URI that fsspec knows.
        feed: whose topic gets the records.
        format: of all files; None to tell it from their content.
        watch: whether to wait for more files until stopped.
    """

    uri: str
    feed: str = "data-records"
    format: str | None = None
    watch: bool = False


def run_import(
    settings: Settings,
    options: Options,
    stop: threading.Event,
    tell: Callable[[str], None],
    progress: Progress = lambda _lines, _read, _size: None,
) -> None:
    """Import the files that wait; with ``watch`` those that come, too, until stopped.

    Args:
        tell: gets a line for each file.

    Raises:
        BytemeterError: a file could not be read (the others are imported), or a server is away.
    """
    engine = database(settings.require_database_url())
    job = Import(
        Place(options.uri), MAPPINGS[options.feed], engine, Kafka(settings), options.format, settings.lease_s,
        progress=progress, stopped=stop.is_set,
    )  # fmt: skip
    with one_line_errors(engine.url):
        failed = _round(job, tell)
        while options.watch and not stop.wait(_LOOK_S):
            _round(job, tell)
    if failed and not options.watch:
        raise BytemeterError(f"{failed} of the files could not be imported; their reports are in {options.uri}/failed")


def _round(job: Import, tell: Callable[[str], None]) -> int:
    failed = 0
    for name in job.place.waiting():
        if job.stopped():
            break
        outcome: Outcome = import_file(job, name)
        failed += outcome.failed
        tell(outcome.line)
    return failed
