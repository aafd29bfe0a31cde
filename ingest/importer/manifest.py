"""The manifest: what PostgreSQL knows of each content that was imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from bytemeter.leases.lease import Lease
from bytemeter.sql import Statements
from ingest.importer.sending import Block

SQL = Statements(__package__, "manifest.sql")
IMPORTING, DONE, FAILED = "importing", "done", "failed"


class Counts(NamedTuple):
    """Lines of a content."""

    lines: int
    accepted: int
    invalid: int
    repeated: int


class Manifest:
    """The row of one content, written under the lease of its import."""

    def __init__(self, connection: Connection, lease: Lease, file_hash: str) -> None:
        self._connection, self._lease, self._hash = connection, lease, file_hash

    def begin(self, feed: str, name: str, size: int) -> Row[Any]:
        """Make the row unless there is one; returns feed, name, state, next_line and the counts."""
        with self._connection.begin():
            self._lease.check(self._connection)
            values = {"file_hash": self._hash, "feed": feed, "name": name, "size": size}
            return self._connection.execute(SQL["begin"], values).one()

    def note(self, blocks: Sequence[Block]) -> None:
        """Add blocks whose messages Kafka has acknowledged.

        Raises:
            BytemeterError: another process has taken over the import.
        """
        values = {
            "file_hash": self._hash,
            "next_line": blocks[-1].next_line,
            **{name: sum(getattr(block, name) for block in blocks) for name in ("accepted", "invalid", "repeated")},
        }
        offsets = [
            {"file_hash": self._hash, "partition": partition, "first": first, "last": last}
            for block in blocks
            for partition, (first, last) in sorted(block.offsets.items())
        ]
        with self._connection.begin():
            self._lease.check(self._connection)
            self._connection.execute(SQL["note"], values)
            if offsets:
                self._connection.execute(SQL["note_offsets"], offsets)

    def end(self, state: str, reason: str = "") -> Counts:
        """Note how it ended; returns the counts of all runs together."""
        with self._connection.begin():
            self._lease.check(self._connection)
            values = {"file_hash": self._hash, "state": state, "reason": reason}
            return Counts(*self._connection.execute(SQL["end"], values).one())


def note_unreadable(connection: Connection, file_hash: str, feed: str, name: str, size: int, reason: str) -> None:
    """Note a file that cannot be read at all."""
    values = {"file_hash": file_hash, "feed": feed, "name": name, "size": size, "reason": reason}
    with connection.begin():
        connection.execute(SQL["fail"], values)
