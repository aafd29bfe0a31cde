"""The lease by which one process at a time counts a partition or runs a job: a row of PostgreSQL with a fencing epoch.

An owner is heard every few seconds. A successor takes over what is silent for a set time, and raises the epoch; each
transaction holds the leases and checks their epochs, so that an owner that was overtaken writes nothing more. See
Kleppmann, Designing Data-Intensive Applications, chapter 8, "Fencing tokens".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.leases.owner import is_dead, shown, this_process
from bytemeter.leases.words import CountingWords, JobWords, Leased, Words, job_lease
from bytemeter.logs import logger
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "lease.sql")

_POLL_S = 0.2
# Heartbeats in the time after which an owner counts as silent: a few may be lost.
_HEARTBEATS = 6
# How long a start waits for an owner that is heard, unless its terms say otherwise.
_PATIENCE_S = 10.0
# How long an end waits until its leases are given back; a server that is away cannot take them.
_GIVE_BACK_S = 5.0


class HeldError(BytemeterError):
    """Another process holds the lease, and is heard."""


@dataclass(frozen=True)
class Terms:
    """Who takes a lease, and when others may take it over.

    Attributes:
        owner: see ``bytemeter.leases.owner``.
        silent_s: after how many seconds without a heartbeat others may take it over.
        patience_s: how long a start waits for an owner that is heard, since that one may be ending.
        retakes: whether a lease that this process holds already may be taken again.
        words: for error lines.
    """

    owner: str = field(default_factory=this_process)
    silent_s: float = 30.0
    patience_s: float = _PATIENCE_S
    retakes: bool = True
    words: Words = field(default_factory=CountingWords)

    @staticmethod
    def of_job(silent_s: float, owner: str | None = None) -> Terms:
        """The terms of a job: it does not wait for another run, not even for one of this process."""
        return Terms(owner or this_process(), silent_s, patience_s=0.0, retakes=False, words=JobWords())


@dataclass
class Lease:
    """The right to count some feeds, or to run a job.

    Attributes:
        names: of the feeds, or of the job (see ``job_lease``).
    """

    names: list[str]
    terms: Terms
    epochs: dict[Leased, int]

    def check(self, connection: Connection) -> None:
        """Hold the leases until the transaction ends.

        Raises:
            BytemeterError: another process has taken over a partition.
        """
        rows = connection.execute(SQL["hold_leases"], {"names": self.names}).all()
        present = {Leased(row.feed, row.partition): row for row in rows}
        for leased, epoch in self.epochs.items():
            row = present.get(leased)
            if row is None or row.epoch != epoch:
                raise self._overtaken(leased, row.owner if row else "")

    def transact_by(self, connection: Connection) -> None:
        """Name the connection whose session a takeover ends, if it is another one than took the lease."""
        connection.execute(SQL["transact_by"], self.held())

    def held(self) -> list[dict[str, Any]]:
        """The leases, each as the values of a statement that concerns one of them."""
        return [{**leased._asdict(), "epoch": epoch} for leased, epoch in self.epochs.items()]

    def extend(self, connection: Connection, partitions: Iterable[tuple[str, int]]) -> None:
        """Take the leases of partitions that the topic did not have at the start.

        Raises:
            BytemeterError: another process has one of them.
        """
        for leased in sorted({Leased(*partition) for partition in partitions} - self.epochs.keys()):
            epoch = _take(connection, self.terms, leased, None)
            if epoch is None:
                raise self._overtaken(leased, "")
            self.epochs[leased] = epoch

    def _overtaken(self, leased: Leased, owner: str) -> BytemeterError:
        other = shown(owner) if owner else "another process"
        return BytemeterError(self.terms.words.overtaken(leased, other, self.terms.silent_s))


@contextmanager
def leased(
    engine: Engine, connection: Connection, partitions: Mapping[str, Iterable[int]], terms: Terms
) -> Iterator[Lease]:
    """Hold the leases of some partitions, or of a job: heard by a thread of its own, given back at the end.

    Args:
        connection: of the transactions that count; a takeover ends its session.
        partitions: by the names of what is leased.

    Raises:
        HeldError: another process holds one of them, and is heard.
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


def require_unheard(connection: Connection, names: Sequence[str], terms: Terms) -> None:
    """Refuse what ``leased`` would refuse, and take nothing: for a process that has a long way to its leases.

    An owner that is heard may be ending, and is waited for. Whether a silent one has ended is left to ``leased``.

    Raises:
        HeldError: another process holds a lease of these names, and is heard.
    """
    observed = _Observed(terms)
    while busy := [row for row in _read(connection, names) if not observed.is_free(row)]:
        observed.require_hope(busy)
        if observed.has_waited(busy):
            return
        time.sleep(_POLL_S)


@contextmanager
def leased_job(engine: Engine, connection: Connection, name: str, terms: Terms) -> Iterator[Lease]:
    """Hold the lease of a job; see ``leased``."""
    job = job_lease(name)
    with leased(engine, connection, {job.name: [job.partition]}, terms) as lease:
        yield lease


def _acquire(connection: Connection, partitions: Mapping[str, Iterable[int]], terms: Terms) -> dict[Leased, int]:
    wanted = [Leased(name, partition) for name in partitions for partition in sorted(partitions[name])]
    observed = _Observed(terms)
    while True:
        rows = _read(connection, list(partitions))
        held = {key: row for row in rows if (key := Leased(row.feed, row.partition)) in wanted}
        busy = [row for row in held.values() if not observed.is_free(row)]
        if busy:
            observed.require_hope(busy)
            time.sleep(_POLL_S)
            continue
        _end_sessions(connection, [row for row in held.values() if not row.given_back])
        if epochs := _take_all(connection, wanted, held, terms):
            return epochs


def _read(connection: Connection, names: Sequence[str]) -> Sequence[Row[Any]]:
    with connection.begin():
        return connection.execute(SQL["read_leases"], {"names": list(names)}).all()


@dataclass
class _Observed:
    """What a start has seen of the leases of others, by this process's clock: that of the server may be set."""

    terms: Terms
    _began: float = field(default_factory=time.monotonic)
    _first: dict[Leased, tuple[object, float]] = field(default_factory=dict)
    _heard: bool = False

    def is_free(self, row: Row[Any]) -> bool:
        """Whether the lease was given back, is this process's own, or its owner is dead or silent."""
        is_own = self.terms.retakes and row.owner == self.terms.owner
        if row.given_back or is_own or is_dead(row.owner):
            return True
        leased = Leased(row.feed, row.partition)
        heard_at, since = self._first.setdefault(leased, (row.heard_at, time.monotonic()))
        if heard_at != row.heard_at:
            self._heard = True
            return False
        return bool(row.has_been_silent_s > row.silent_s) or time.monotonic() - since > row.silent_s

    def require_hope(self, busy: list[Row[Any]]) -> None:
        """Raise an error if an owner was heard, and has not ended within the patience of the terms."""
        patience_s = self.terms.patience_s
        # Without patience the server's clock tells who is heard, unless it was set back since.
        heard = self._heard or (not patience_s and all(row.has_been_silent_s >= 0 for row in busy))
        if heard and (not patience_s or self.has_waited(busy)):
            names = sorted({row.feed for row in busy})
            raise HeldError(self.terms.words.busy(names, shown(busy[0].owner)))

    def has_waited(self, busy: list[Row[Any]]) -> bool:
        """Whether the patience of the terms is over, or an owner that did not send a heartbeat meanwhile is silent."""
        most_s = min(self.terms.patience_s, max(float(row.silent_s) for row in busy))
        return time.monotonic() - self._began > most_s


def _end_sessions(connection: Connection, rows: list[Row[Any]]) -> None:
    """End the sessions of owners that are taken over, so that an open transaction of theirs lets go of its leases."""
    for row in rows:
        with connection.begin():
            of_row = {"name": row.feed, "partition": row.partition, "owner": row.owner}
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
    epoch = row.epoch if row else 0
    values = {**leased._asdict(), "owner": terms.owner, "silent_s": terms.silent_s, "epoch": epoch}
    return connection.scalars(SQL["take_lease"], values).one_or_none()


def _be_heard(engine: Engine, lease: Lease, ended: threading.Event) -> None:
    """Send heartbeats until ended, then give the leases back; a server that is away is tried again."""
    while not ended.wait(lease.terms.silent_s / _HEARTBEATS):
        _update(engine, lease, "be_heard", ended)
    _update(engine, lease, "give_back", None)


def _update(engine: Engine, lease: Lease, statement: str, ended: threading.Event | None) -> None:
    rows = lease.held()
    try:
        with one_line_errors(engine.url), engine.begin() as connection:
            connection.execute(SQL[statement], rows)
    except (TransientError, SQLAlchemyError) as error:
        if ended is None or not ended.is_set():
            logger().debug("not heard", reason=str(error))
