"""Counts staged agreements and data records: matched with their owners, added up, thresholds judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans import agreements
from bytemeter.plans.calendars import Calendar, Years, cover
from bytemeter.plans.events import AMENDED, ThresholdEvent
from bytemeter.plans.judging import amendment, reached, threshold_event
from speed_layer.live_query import Account
from speed_layer.plans import statements
from speed_layer.records import set_repeats_apart


@dataclass(frozen=True)
class Agreed:
    """What agreements changed: numbers whose records may have another owner, and thresholds of changed limits."""

    msisdns: frozenset[str]
    events: Sequence[ThresholdEvent]


@dataclass
class Counted:
    """What became of the records, by partition, and the events that they caused."""

    accounts: list[Account] = field(default_factory=list)
    events: list[ThresholdEvent] = field(default_factory=list)


def take_agreements(connection: Connection, attempt: int) -> Agreed:
    """Write the staged agreements; judge changed limits at once."""
    documents = connection.scalars(statements.AGREEMENTS, {"attempt": attempt})
    changes = agreements.replace(connection, map(agreements.agreement, documents))
    if changes.msisdns:
        connection.execute(statements.FORGET_SEGMENTS, {"msisdns": list(changes.msisdns)})
    return Agreed(changes.msisdns, reached(connection, changes.limits) if changes.limits else ())


def count_records(connection: Connection, attempt: int, *, waiting_for: Iterable[str]) -> Counted:
    """Count the staged records, and those that have waited for an agreement of one of these numbers.

    Events are in the order of crossing, amendments of closed periods after them.
    """
    counted = Counted()
    taken = connection.execute(statements.TAKE_RECORDS, {"attempt": attempt}).rowcount
    if taken and set_repeats_apart(connection, DATA_RECORDS.name):
        repeats = connection.execute(statements.COUNT_REPEATS)
        counted.accounts += [_account(row.partition, duplicate=row.n) for row in repeats]
    if msisdns := list(waiting_for):
        released = connection.execute(statements.RELEASE, {"msisdns": msisdns}).all()
        counted.accounts += [_account(row.partition, unmatched=-row.n) for row in released]
        taken += len(released)
    if taken:
        counted.accounts += _find_owners(connection)
        counted.events += _add(connection)
    return counted


def _find_owners(connection: Connection) -> list[Account]:
    """See that each record's number has a segment for its time; what nobody owns is set apart."""
    if not connection.execute(statements.FIND_MISSING).rowcount:
        return []
    needed = connection.execute(statements.CALENDARS_OF_MISSING)
    cover(connection, {Calendar(row.time_zone, row.anchor_day): Years(row.first, row.last) for row in needed})
    connection.execute(statements.MAKE_SEGMENTS)
    unmatched = connection.execute(statements.SET_UNMATCHED_APART)
    return [_account(row.partition, unmatched=row.n) for row in unmatched]


def _add(connection: Connection) -> list[ThresholdEvent]:
    """Add the records to the periods that own them, and judge those that crossed a threshold or were closed."""
    connection.execute(statements.ADD_UP)
    found = connection.execute(statements.COUNT, {"made": False}).one()
    crossed, closed = found.crossed, found.closed
    if found.lacking:
        connection.execute(statements.MAKE_PERIODS)
        made = connection.execute(statements.COUNT, {"made": True}).one()
        crossed |= made.crossed
    events: list[ThresholdEvent] = []
    if crossed:
        events += [threshold_event(row) for row in connection.execute(statements.CROSSINGS)]
        connection.execute(statements.SET_NEXT_THRESHOLDS)
    if closed:
        events += [amendment(row, AMENDED) for row in connection.execute(statements.AMEND)]
    return events


def _account(partition: int, *, duplicate: int = 0, unmatched: int = 0) -> Account:
    return Account(DATA_RECORDS.name, partition, duplicate=duplicate, unmatched=unmatched)
