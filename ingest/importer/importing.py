"""One file from its place to its feed's topic."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine

from bytemeter.kafka import Kafka
from bytemeter.leases.lease import HeldError, Terms, leased_job
from ingest.importer import manifest as manifests
from ingest.importer.contents import Content, UnreadableError, examined, opened, raw_hash
from ingest.importer.ids import internal_ids
from ingest.importer.manifest import Counts, Manifest
from ingest.importer.mapping import Layout
from ingest.importer.places import DONE, FAILED, Place
from ingest.importer.readers import Rows, format_of, rows
from ingest.importer.sending import Block, Sender
from ingest.judging import judge

# Told after each block: the lines and the bytes of the content that were read, and its size.
Progress = Callable[[int, int, int], None]
_NOTE_S = 1.0
_HASH_SHOWN = 12


@dataclass(frozen=True)
class Import:
    """What the imports of a command have in common.

    Attributes:
        place: where the files are.
        layout: what they look like, and whose topic gets them.
        format: of all files; None to tell it from their content.
        silent_s: after so many seconds without a heartbeat another import may take over a file.
        timeout_s: for Kafka's acknowledgement.
        stopped: whether the command is to end.
    """

    place: Place
    layout: Layout
    engine: Engine
    kafka: Kafka
    format: str | None = None
    silent_s: float = 30.0
    timeout_s: float = 30.0
    progress: Progress = lambda _lines, _read, _size: None
    stopped: Callable[[], bool] = lambda: False


@dataclass
class Outcome:
    """What became of a file.

    Attributes:
        line: for people.
        failed: whether nothing of it could be read.
        left: whether it stays where it is, because another import has it or a signal came.
    """

    line: str
    failed: bool = False
    left: bool = False


def import_file(job: Import, name: str) -> Outcome:
    """Import one file, or go on where an earlier import of its content ended.

    Raises:
        TransientError: Kafka or PostgreSQL is away; the file stays, to be imported again.
    """
    open_file = partial(job.place.open, name)
    try:
        try:
            content = examined(open_file)
        except UnreadableError as error:
            return _unreadable(job, name, *raw_hash(open_file), str(error))
        with job.engine.connect() as connection:
            terms = Terms.of_job(job.silent_s)
            with leased_job(job.engine, connection, f"import/{content.hash[:32]}", terms) as lease:
                return _OneFile(job, name, content, Manifest(connection, lease, content.hash)).run()
    except HeldError as error:
        return Outcome(f"{name}: left to another import ({error})", left=True)
    except FileNotFoundError:
        return Outcome(f"{name}: is gone; another import has moved it", left=True)


def _unreadable(job: Import, name: str, hash_: str, size: int, reason: str) -> Outcome:
    with job.engine.connect() as connection:
        manifests.note_unreadable(connection, hash_, job.layout.feed.name, name, size, reason)
    with _Report() as report:
        report.add("", reason)
        moved = job.place.move(name, FAILED, report=report.path, suffix=hash_[:_HASH_SHOWN])
    return Outcome(f"{name}: {reason}; moved to {moved}", failed=True)


@dataclass
class _OneFile:
    """The import of one file, under its lease."""

    job: Import
    name: str
    content: Content
    manifest: Manifest
    _acknowledged: list[Block] = field(default_factory=list)
    _noted: float = field(default_factory=time.monotonic)

    def run(self) -> Outcome:
        begun = self.manifest.begin(self.job.layout.feed.name, self.name, self.content.size)
        if begun.state == manifests.DONE:
            moved = self._move(DONE, None)
            known = "this content was imported before"
            return Outcome(f"{self.name}: {known}, as {begun.name}; not sent again; moved to {moved}")
        with _Report() as report:
            try:
                complete = self._send(begun.next_line, report)
            except UnreadableError as error:
                report.add("", str(error))
                self.manifest.end(manifests.FAILED, str(error))
                moved = self._move(FAILED, report.path)
                return Outcome(f"{self.name}: {error}; moved to {moved}", failed=True)
            if not complete:
                return Outcome(f"{self.name}: ended before it was done; import it again to go on", left=True)
            return self._ended(report)

    def _ended(self, report: _Report) -> Outcome:
        lines, accepted, invalid, repeated = counts = self.manifest.end(manifests.DONE)
        nothing = lines > 0 and invalid == lines
        if nothing:
            self.manifest.end(manifests.FAILED, "no line is valid")
        moved = self._move(FAILED if nothing else DONE, report.path if invalid else None)
        told = f"{lines} lines: {accepted} accepted, {invalid} invalid, {repeated} repeated"
        return Outcome(f"{self.name}: {told}; moved to {moved}", failed=nothing and counts != Counts(0, 0, 0, 0))

    def _move(self, folder: str, report: str | None) -> str:
        return self.job.place.move(self.name, folder, report=report, suffix=self.content.hash[:_HASH_SHOWN])

    def _send(self, next_line: int, report: _Report) -> bool:
        """Send the lines that are not noted; returns whether all are."""
        job = self.job
        sender = Sender(job.kafka, job.layout.feed.topic, job.timeout_s)
        try:
            with ExitStack() as stack:
                file = opened(partial(job.place.open, self.name), stack)
                format_ = job.format or format_of(self.content, job.layout)
                for read in rows(file, self.content.size, format_, job.layout, internal_ids(self.content.hash)):
                    if job.stopped():
                        break
                    block, messages = self._judged(read, next_line, report)
                    if read.next_line > next_line:
                        self._note(list(sender.send(block, messages)))
                    job.progress(read.next_line - 1, read.read, self.content.size)
            self._note(list(sender.finish()), now=True)
        finally:
            sender.close()
        return not job.stopped()

    def _judged(self, read: Rows, next_line: int, report: _Report) -> tuple[Block, list[dict[str, Any]]]:
        """The block of some rows, and its messages; lines before the next one are reported only."""
        judged = judge(self.job.layout.feed, read.documents, time.time_ns() // 1_000)
        block, messages, seen = Block(read.next_line), [], set()
        for place, line in enumerate(read.lines):
            reason = read.refused.get(place, judged.reasons[place])
            if reason is not None:
                report.add(str(line), reason)
            if line < next_line:
                continue
            identity = judged.ids[place], judged.hours[place]
            if reason is not None:
                block.invalid += 1
            elif identity in seen:
                block.repeated += 1
            else:
                seen.add(identity)
                messages.append({"value": read.documents[place], "key": judged.keys[place]})
        block.accepted = len(messages)
        return block, messages

    def _note(self, acknowledged: list[Block], *, now: bool = False) -> None:
        self._acknowledged += acknowledged
        if self._acknowledged and (now or time.monotonic() - self._noted > _NOTE_S):
            self.manifest.note(self._acknowledged)
            self._acknowledged = []
            self._noted = time.monotonic()


class _Report:
    """Lines that were refused and why, on this machine's disk until the file is moved."""

    def __enter__(self) -> _Report:
        self._file: IO[str] = tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", delete=False)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(("line", "reason"))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        Path(self._file.name).unlink()

    def add(self, line: str, reason: str) -> None:
        """Add a line of the file, or of the whole file if it is empty."""
        self._writer.writerow((line, reason))

    @property
    def path(self) -> str:
        """Where all of it is."""
        self._file.flush()
        return self._file.name
