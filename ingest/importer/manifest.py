"""The manifest: what PostgreSQL knows of each content that was imported."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from bytemeter.leases.lease import Lease
from bytemeter.sql import Statements
from ingest.importer.resume import ResumePoint

SQL = Statements(__package__, "manifest.sql")
IMPORTING, DONE, FAILED = "importing", "done", "failed"


@dataclass(frozen=True)
class Known:
    """What the manifest knows of a content.

    Attributes:
        feed, name: of the import that begun it.
        state: importing or done.
        point: how far it is sent at least.
    """

    feed: str
    name: str
    state: str
    point: ResumePoint


class Manifest:
    """The row of one content, written under the lease of its import.

    It follows Kafka: what it says was committed there before.
    """

    def __init__(self, connection: Connection, lease: Lease, file_hash: str) -> None:
        self._connection, self._lease, self._hash = connection, lease, file_hash

    def begin(self, feed: str, name: str, size: int) -> Known:
        """Make the row unless there is one; returns what it says."""
        with self._connection.begin():
            self._lease.check(self._connection)
            values = {"file_hash": self._hash, "feed": feed, "name": name, "size": size}
            row = self._connection.execute(SQL["begin"], values).one()
            ranges = self._connection.execute(SQL["offsets"], {"file_hash": self._hash}).all()
        offsets = {partition: (first, last) for partition, first, last in ranges}
        point = ResumePoint(row.next_line, row.accepted, row.invalid, row.repeated, offsets)
        return Known(row.feed, row.name, row.state, point)

    def note(self, point: ResumePoint) -> None:
        """Note how far the content is sent, as Kafka has committed it.

        Raises:
            BytemeterError: another process has taken over the import.
        """
        values = {
            "file_hash": self._hash,
            "next_line": point.next_line,
            "accepted": point.accepted,
            "invalid": point.invalid,
            "repeated": point.repeated,
        }
        offsets = [
            {"file_hash": self._hash, "partition": partition, "first": first, "last": last}
            for partition, (first, last) in sorted(point.offsets.items())
        ]
        with self._connection.begin():
            self._lease.check(self._connection)
            self._connection.execute(SQL["note"], values)
            if offsets:
                self._connection.execute(SQL["note_offsets"], offsets)

    def end(self, state: str, reason: str = "") -> None:
        """Note how it ended."""
        with self._connection.begin():
            self._lease.check(self._connection)
            self._connection.execute(SQL["end"], {"file_hash": self._hash, "state": state, "reason": reason})


def note_unreadable(connection: Connection, file_hash: str, feed: str, name: str, size: int, reason: str) -> None:
    """Note a file that cannot be read at all."""
    values = {"file_hash": file_hash, "feed": feed, "name": name, "size": size, "reason": reason}
    with connection.begin():
        connection.execute(SQL["fail"], values)
