"""The lease by which one process at a time counts a feed: rows of PostgreSQL, per partition, with a fencing epoch.

An owner is heard every few seconds. A successor takes over what is silent for a set time, and raises the epoch; each
transaction holds the leases and checks their epochs, so that an owner that was overtaken counts nothing more. See
Kleppmann, Designing Data-Intensive Applications, chapter 8, "Fencing tokens".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.logs import logger
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements
from speed_layer.engine.owner import is_dead, shown, this_process

SQL = Statements(__package__, "lease.sql")

# Feed and partition.
Leased = tuple[str, int]

_POLL_S = 0.2
# Heartbeats in the time after which an owner counts as silent: a few may be lost.
_HEARTBEATS = 6
# How long a start waits for an owner that is heard, since that one may be ending.
_PATIENCE_S = 10.0
# How long an end waits until its leases are given back; a server that is away cannot take them.
_GIVE_BACK_S = 5.0


@dataclass(frozen=True)
class Terms:
    """Who takes a lease, and when others may take it over.

    Attributes:
        owner: see ``speed_layer.engine.owner``.
        silent_s: after how many seconds without a heartbeat others may take it over.
    """

    owner: str = field(default_factory=this_process)
    silent_s: float = 30.0


@dataclass
class Lease:
    """The right to count some feeds.

    Attributes:
        epochs: by feed and partition.
    """

    feeds: list[str]
    terms: Terms
    epochs: dict[Leased, int]

    def check(self, connection: Connection) -> None:
        """Hold the leases until the transaction ends.

        Raises:
            BytemeterError: another process has taken over a partition.
        """
        rows = connection.execute(SQL["hold_leases"], {"feeds": self.feeds}).all()
        present = {(row.feed, row.partition): row for row in rows}
        for leased, epoch in self.epochs.items():
            row = present.get(leased)
            if row is None or row.epoch != epoch:
                raise self._overtaken(leased, row.owner if row else "")

    def extend(self, connection: Connection, partitions: Iterable[Leased]) -> None:
        """Take the leases of partitions that the topic did not have at the start.

        Raises:
            BytemeterError: another process has one of them.
        """
        for leased in sorted(set(partitions) - self.epochs.keys()):
            epoch = _take(connection, self.terms, leased, None)
            if epoch is None:
                raise self._overtaken(leased, "")
            self.epochs[leased] = epoch

    def _overtaken(self, leased: Leased, owner: str) -> BytemeterError:
        feed, partition = leased
        other = shown(owner) if owner else "another process"
        return BytemeterError(
            f"{other} has taken over partition {partition} of the feed {feed}, since this process was silent for over "
            f"{self.terms.silent_s:g} s; this one ends, what it had not committed is counted by the other"
        )


@contextmanager
def leased(
    engine: Engine, connection: Connection, partitions: Mapping[str, Iterable[int]], terms: Terms
) -> Iterator[Lease]:
    """Hold the leases of some partitions: heard by a thread and a connection of its own, given back at the end.

    Args:
        connection: of the transactions that count; a takeover ends its session.
        partitions: by feed.

    Raises:
        BytemeterError: another process holds one of them, and is heard.
        TransientError: PostgreSQL cannot be reached.
    """
    lease = Lease(list(partitions), terms, _acquire(connection, partitions, terms))
    ended = threading.Event()
    heartbeat = threading.Thread(target=_be_heard, args=(engine, lease, ended), name="heartbeat", daemon=True)
    heartbeat.start()
    try:
        yield lease
    finally:
        ended.set()
        heartbeat.join(_GIVE_BACK_S)


def _acquire(connection: Connection, partitions: Mapping[str, Iterable[int]], terms: Terms) -> dict[Leased, int]:
    wanted = [(feed, partition) for feed in partitions for partition in sorted(partitions[feed])]
    observed = _Observed(terms)
    while True:
        with connection.begin():
            rows = connection.execute(SQL["read_leases"], {"feeds": list(partitions)}).all()
        held = {(row.feed, row.partition): row for row in rows if (row.feed, row.partition) in wanted}
        busy = [row for row in held.values() if not observed.is_free(row)]
        if busy:
            observed.require_hope(busy)
            time.sleep(_POLL_S)
            continue
        _end_sessions(connection, [row for row in held.values() if not row.given_back])
        if epochs := _take_all(connection, wanted, held, terms):
            return epochs


@dataclass
class _Observed:
    """What a start has seen of the leases of others, by this process's clock: that of the server may be set."""

    terms: Terms
    _began: float = field(default_factory=time.monotonic)
    _first: dict[Leased, tuple[object, float]] = field(default_factory=dict)
    _heard: bool = False

    def is_free(self, row: Row[Any]) -> bool:
        """Whether the lease was given back, is this process's own, or its owner is dead or silent."""
        if row.given_back or row.owner == self.terms.owner or is_dead(row.owner):
            return True
        heard_at, since = self._first.setdefault((row.feed, row.partition), (row.heard_at, time.monotonic()))
        if heard_at != row.heard_at:
            self._heard = True
            return False
        return bool(row.has_been_silent_s > row.silent_s) or time.monotonic() - since > row.silent_s

    def require_hope(self, busy: list[Row[Any]]) -> None:
        """Raise an error if an owner was heard, and has not ended within a few seconds."""
        if self._heard and time.monotonic() - self._began > min(_PATIENCE_S, max(row.silent_s for row in busy)):
            feeds = sorted({row.feed for row in busy})
            named = f"feed {feeds[0]}" if len(feeds) == 1 else f"feeds {' and '.join(feeds)}"
            raise BytemeterError(
                f"another process counts the {named} ({shown(busy[0].owner)} holds the lease and is heard); "
                "one is enough: stop the other first"
            )


def _end_sessions(connection: Connection, rows: list[Row[Any]]) -> None:
    """End the sessions of owners that are taken over, so that an open transaction of theirs lets go of its leases."""
    for row in rows:
        with connection.begin():
            of_row = {"feed": row.feed, "partition": row.partition, "owner": row.owner}
            connection.execute(SQL["end_session"], of_row)
        logger().warning(
            "taking over",
            feed=row.feed,
            partition=row.partition,
            owner=row.owner,
            silent_s=round(float(row.has_been_silent_s), 1),
        )


def _take_all(
    connection: Connection, wanted: list[Leased], held: Mapping[Leased, Row[Any]], terms: Terms
) -> dict[Leased, int] | None:
    """Take all leases, or none if another process has changed one since it was read."""
    with connection.begin() as transaction:
        taken = {leased: _take(connection, terms, leased, held.get(leased)) for leased in wanted}
        epochs = {leased: epoch for leased, epoch in taken.items() if epoch is not None}
        if len(epochs) < len(wanted):
            transaction.rollback()
            return None
    return epochs


def _take(connection: Connection, terms: Terms, leased: Leased, row: Row[Any] | None) -> int | None:
    """Take a lease; its new epoch, or None if it has changed since it was read."""
    feed, partition = leased
    epoch = row.epoch if row else 0
    values = {"feed": feed, "partition": partition, "owner": terms.owner, "silent_s": terms.silent_s, "epoch": epoch}
    return connection.scalars(SQL["take_lease"], values).one_or_none()


def _be_heard(engine: Engine, lease: Lease, ended: threading.Event) -> None:
    """Send heartbeats until ended, then give the leases back; a server that is away is tried again."""
    while not ended.wait(lease.terms.silent_s / _HEARTBEATS):
        _update(engine, lease, "be_heard", ended)
    _update(engine, lease, "give_back", None)


def _update(engine: Engine, lease: Lease, statement: str, ended: threading.Event | None) -> None:
    rows = [{"feed": feed, "partition": partition, "epoch": epoch} for (feed, partition), epoch in lease.epochs.items()]
    try:
        with one_line_errors(engine.url), engine.begin() as connection:
            connection.execute(SQL[statement], rows)
    except (TransientError, SQLAlchemyError) as error:
        if ended is None or not ended.is_set():
            logger().debug("not heard", reason=str(error))
