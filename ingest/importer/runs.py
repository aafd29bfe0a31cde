"""All files that wait in a place: once, or as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bytemeter.errors import BytemeterError, TransientError, first_line
from bytemeter.kafka import Kafka
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from ingest.importer.asn1 import Schema, schema_of
from ingest.importer.contents import ASN1
from ingest.importer.importing import Import, Outcome, Progress, import_file
from ingest.importer.mapping import MAPPINGS, Layout
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
        schema, mapping: of the format ``asn1``: the ASN.1 module of the records, and what becomes of their fields.
    """

    uri: str
    feed: str = "data-records"
    format: str | None = None
    watch: bool = False
    schema: Path | None = None
    mapping: Path | None = None


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
    schema = _schema(options)
    engine = database(settings.require_database_url())
    kafka, layout = Kafka(settings), MAPPINGS[options.feed]
    job = Import(
        Place(options.uri), layout, engine, kafka, _partitions(kafka, layout), options.format, schema, settings.lease_s,
        progress=progress, stopped=stop.is_set,
    )  # fmt: skip
    with one_line_errors(engine.url):
        failed = _round(job, tell)
        while options.watch and not stop.wait(_LOOK_S):
            _round(job, tell)
    if failed and not options.watch:
        raise BytemeterError(f"{failed} of the files could not be imported: the lines about them say why")


def _schema(options: Options) -> Schema | None:
    if options.format != ASN1:
        return None
    if options.schema is None or options.mapping is None:
        raise BytemeterError("--format asn1 needs --schema FILE and --mapping FILE, see docs/importer.md")
    return schema_of(options.schema, options.mapping, MAPPINGS[options.feed])


def _partitions(kafka: Kafka, layout: Layout) -> int:
    topic = kafka.describe(kafka.topic_name(layout.feed.topic))
    if topic is None:
        name = kafka.topic_name(layout.feed.topic)
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {name}; run `bytemeter migrate`")
    return len(topic.latest)


def _round(job: Import, tell: Callable[[str], None]) -> int:
    failed = 0
    try:
        names = job.place.waiting()
    except job.place.errors as error:
        raise TransientError(f"{job.place.uri} cannot be listed: {first_line(error)}; is it up?") from error
    for name in names:
        if job.stopped():
            break
        outcome: Outcome = import_file(job, name)
        failed += outcome.failed
        tell(outcome.line)
    return failed
