"""One file from its place to its feed's topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine

from bytemeter.errors import TransientError, first_line
from bytemeter.kafka import Kafka
from bytemeter.leases.lease import HeldError, Terms, leased_job
from ingest.importer import manifest as manifests
from ingest.importer.asn1 import Schema, asn1_rows
from ingest.importer.blocks import block_of
from ingest.importer.call_records import call_records
from ingest.importer.contents import ASN1, PARQUET, Content, UnreadableError, examined, opened, raw_hash
from ingest.importer.ids import LineIds
from ingest.importer.manifest import Known, Manifest
from ingest.importer.mapping import Layout
from ingest.importer.places import DONE, FAILED, Place
from ingest.importer.readers import Rows, batches, format_of, parquet_file, rows
from ingest.importer.reports import Report
from ingest.importer.resume import ResumePoint
from ingest.importer.sending import Sender
from ingest.importer.transactions import Transactions

# Told after each block: the lines and the bytes of the content that were read, and its size.
Progress = Callable[[int, int, int], None]
_HASH_SHOWN = 12


@dataclass(frozen=True)
class Import:
    """What the imports of a command have in common.

    Attributes:
        place: where the files are.
        layout: what they look like, and whose topic gets them.
        partitions: of the topic.
        format: of all files; None to tell it from their content.
        schema: of call detail records, for the format ``asn1``.
        silent_s: after so many seconds without a heartbeat another import may take over a file.
        timeout_s: for Kafka's answers, and for a transaction.
        stopped: whether the command is to end.
    """

    place: Place
    layout: Layout
    engine: Engine
    kafka: Kafka
    partitions: int
    format: str | None = None
    schema: Schema | None = None
    silent_s: float = 30.0
    timeout_s: float = 30.0
    progress: Progress = lambda _lines, _read, _size: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        line: for people.
        failed: whether nothing of it could be read, or accepted.
        left: whether it stays where it is.
    """

    line: str
    failed: bool = False
    left: bool = False


def import_file(job: Import, name: str) -> Outcome:
    """Import one file, or go on where an earlier import of its content ended.

    Raises:
        TransientError: Kafka, PostgreSQL or the storage is away; the file stays, to be imported again.
        FencedError: another import has taken it over.
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
    except job.place.errors as error:
        if not job.place.is_local:
            raise TransientError(
                f"{name} cannot be read or moved in {job.place.uri}: {first_line(error)}; is it up?"
            ) from error
        return Outcome(f"{name}: cannot be read: {first_line(error)}; it is left", failed=True, left=True)


def _unreadable(job: Import, name: str, hash_: str, size: int, reason: str) -> Outcome:
    with job.engine.connect() as connection:
        manifests.note_unreadable(connection, hash_, job.layout.feed.name, name, size, reason)
    with Report() as report:
        report.add(None, reason)
        moved = job.place.free_name(name, FAILED, hash_[:_HASH_SHOWN])
        job.place.report(report.path, moved)
        job.place.move(name, moved)
    return Outcome(f"{name}: {reason}; moved to {moved}", failed=True)


@dataclass(frozen=True)
class _OneFile:
    """The import of one file, under its lease."""

    job: Import
    name: str
    content: Content
    manifest: Manifest

    def run(self) -> Outcome:
        feed = self.job.layout.feed.name
        known = self.manifest.begin(feed, self.name, self.content.size)
        if known.state == manifests.DONE:
            moved = self._move(DONE, None)
            before = f"this content was imported before, as {known.name} for the feed {known.feed}"
            return Outcome(f"{self.name}: {before}; not sent again; moved to {moved}")
        if known.feed != feed:
            begun = f"its import for the feed {known.feed} was begun; import it with --feed {known.feed}"
            return Outcome(f"{self.name}: {begun}", failed=True, left=True)
        with Report() as report:
            try:
                point = self._send(known, report)
            except UnreadableError as error:
                report.add(None, str(error))
                return self._ended(manifests.FAILED, str(error), report, str(error))
            if point is None:
                return Outcome(f"{self.name}: ended before it was done; import it again to go on", left=True)
            told = f"{point.lines} lines: {point.accepted} accepted, {point.invalid} invalid, {point.repeated} repeated"
            if point.lines and point.invalid == point.lines:
                return self._ended(manifests.FAILED, "no line is valid", report, told)
            return self._ended(manifests.DONE, "", report if point.invalid else None, told)

    def _ended(self, state: str, reason: str, report: Report | None, told: str) -> Outcome:
        """Leave the report, note the end, move the file: whatever of it was not done is done by the next import."""
        failed = state == manifests.FAILED
        moved = self._move(FAILED if failed else DONE, report, lambda: self.manifest.end(state, reason))
        return Outcome(f"{self.name}: {told}; moved to {moved}", failed=failed)

    def _move(self, folder: str, report: Report | None, noted: Callable[[], None] = lambda: None) -> str:
        place = self.job.place
        moved = place.free_name(self.name, folder, self.content.hash[:_HASH_SHOWN])
        if report is not None:
            place.report(report.path, moved)
        noted()
        place.move(self.name, moved)
        return moved

    def _send(self, known: Known, report: Report) -> ResumePoint | None:
        """Send the lines that are not sent; returns the last point, or None if the command is to end before."""
        job, format_ = self.job, self._checked_format()
        topic = job.layout.feed.topic
        transactions = Transactions(job.kafka, topic, self.content.hash, job.timeout_s)
        try:
            begun = self._resumed(known.point, transactions.resume())
            sender = Sender(transactions, job.partitions, begun)
            try:
                complete = self._read(format_, sender, begun, report)
                point = sender.finish()
            finally:
                sender.close()
        finally:
            transactions.close()
        self.manifest.note(point)
        return point if complete else None

    def _resumed(self, noted: ResumePoint, committed: ResumePoint | None) -> ResumePoint:
        """Where to go on: what Kafka has committed counts, or the manifest where Kafka has forgotten it."""
        point = max(noted, committed or noted, key=lambda point: point.next_line)
        if not point.accepted:
            # Nothing was sent: perhaps it was read in the wrong format.
            return ResumePoint()
        if point is not noted:
            self.manifest.note(point)
        return point

    def _checked_format(self) -> str:
        """The format; all of a file of parquet or of call detail records is read before anything of it is sent."""
        format_ = self.job.format or format_of(self.content, self.job.layout)
        if format_ in (PARQUET, ASN1):
            with ExitStack() as stack:
                file = opened(partial(self.job.place.open, self.name), stack)
                found: Iterator[object] = (
                    batches(parquet_file(file, self.job.layout))
                    if format_ == PARQUET
                    else call_records(file, self.content.size)
                )
                for _ in found:
                    pass
        return format_

    def _rows(self, format_: str, file: Any) -> Iterator[Rows]:
        layout, size, ids = self.job.layout, self.content.size, LineIds(self.content.hash)
        if format_ == ASN1 and self.job.schema is not None:
            return asn1_rows(file, size, self.job.schema, layout, ids)
        return rows(file, size, format_, layout, ids)

    def _read(self, format_: str, sender: Sender, begun: ResumePoint, report: Report) -> bool:
        """Read and judge all blocks, and hand over those that are not sent; returns whether that was all of them."""
        job, noted = self.job, begun
        with ExitStack() as stack:
            file = opened(partial(job.place.open, self.name), stack)
            for read in self._rows(format_, file):
                if job.stopped():
                    return False
                block = block_of(job.layout.feed, read, begun.next_line, time.time_ns() // 1_000)
                for line, reason in block.refused:
                    report.add(line, reason)
                if block.next_line > begun.next_line:
                    sender.send(block)
                if sender.committed is not noted:
                    noted = sender.committed
                    self.manifest.note(noted)
                job.progress(read.next_line - 1, read.read, self.content.size)
        return True
