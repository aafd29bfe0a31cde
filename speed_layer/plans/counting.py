"""Counts staged agreements and data records: matched with their owners, added up, thresholds judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Row

from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans import agreements
from bytemeter.plans.calendars import Calendar, Years, cover
from bytemeter.plans.events import AMENDED, ThresholdEvent
from bytemeter.plans.judging import amendment, reached, threshold_event
from speed_layer.accounts import repeated
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_query import Account
from speed_layer.plans import statements
from speed_layer.plans.owners import NO_OWNER, OwnerLookup
from speed_layer.plans.records import NewRecords, Records, as_records
from speed_layer.postgres.copying import copy, copy_fixed, instants
from speed_layer.postgres.lookups import no_nested_loops

# Each is an object while it is written: all of a large micro-batch would take a gigabyte.
_AGREEMENTS_AT_ONCE = 20_000


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


@dataclass(frozen=True)
class _Noted:
    """Whether ``noted`` has periods that crossed a threshold, and such that were closed already."""

    crossed: bool = False
    closed: bool = False

    def __or__(self, other: _Noted) -> _Noted:
        return _Noted(self.crossed or other.crossed, self.closed or other.closed)


def take_agreements(connection: Connection, owners: OwnerLookup, rows: pa.Table) -> Agreed:
    """Write the agreements (see ``speed_layer.executor.plans.agreement_parts``); judge changed limits at once."""
    told = rows.sort_by([("partition", "ascending"), ("record_offset", "ascending")])
    msisdns: set[str] = set()
    events: list[ThresholdEvent] = []
    for begin in range(0, told.num_rows, _AGREEMENTS_AT_ONCE):
        some = told.slice(begin, _AGREEMENTS_AT_ONCE).to_pylist()
        changes = agreements.replace(connection, map(agreements.agreement, some))
        if changes.msisdns:
            owners.forget(connection, changes.msisdns)
        if changes.limits:
            events += reached(connection, changes.limits)
        msisdns |= changes.msisdns
    return Agreed(frozenset(msisdns), events)


def count_records(
    connection: Connection, seen: Deduplicator, owners: OwnerLookup, records: Records, *, waiting_for: Iterable[str]
) -> Counted:
    """Count the records that are no repeats, and those that have waited for an agreement of one of these numbers.

    Records of one number are added up before PostgreSQL has them; it looks at them one by one only where their owner or
    their order asks for it. Events are in the order of crossing, amendments of closed periods after them.

    Args:
        waiting_for: numbers whose agreements have changed; their segments are forgotten (see ``take_agreements``).
    """
    counted = Counted()
    awaited = list(waiting_for)
    if not records.rows.num_rows and not awaited:
        return counted
    repeats = seen.find_duplicates(connection, records.identified)
    counted.accounts += repeated(DATA_RECORDS.name, records.rows.filter(pa.array(repeats)))
    new = records.without(repeats)
    found, others = _count_together(connection, owners, new.totals)
    single = new.of(others)
    copy(connection, "records", as_records(single))
    released = connection.execute(statements.RELEASE, {"msisdns": awaited}).all() if awaited else []
    counted.accounts += [_account(row.partition, unmatched=-row.n) for row in released]
    if single.num_rows or released:
        counted.accounts += _find_owners(connection)
        found |= _count_singly(connection)
    counted.events += _judge(connection, found, new, others)
    return counted


def _count_together(connection: Connection, owners: OwnerLookup, totals: pa.Table) -> tuple[_Noted, pa.ChunkedArray]:
    """Count the numbers whose records are all of one period. Returns the others, too."""
    usage_ids = owners.find(connection, totals)
    # NO_OWNER comes first.
    order = np.argsort(usage_ids)[np.count_nonzero(usage_ids == NO_OWNER) :]
    if not len(order):
        return _Noted(), totals.column("msisdn")
    owned = totals.take(order)
    added = {
        "usage_id": usage_ids[order].astype(">i8"),
        "bytes": owned.column("bytes").to_numpy().astype(">i8"),
        "latest_at": instants(owned.column("last_us").to_numpy()),
        "together": np.ones(len(order), "?"),
    }
    copy_fixed(connection, "added", added, {"latest": owned.column("latest")})
    found = _count(connection, together=True)
    if found.rows < len(order):
        # Dropped since, as those of periods that are none any more.
        gone = np.isin(usage_ids, connection.scalars(statements.LACKING).all())
        owners.forget(connection, totals.column("msisdn").filter(pa.array(gone)).to_pylist())
        usage_ids[gone] = NO_OWNER
    return _Noted(found.crossed, found.closed), totals.column("msisdn").filter(pa.array(usage_ids == NO_OWNER))


def _count_singly(connection: Connection) -> _Noted:
    """Count what is in ``records``."""
    connection.execute(statements.ADD_UP)
    connection.execute(statements.MAKE_PERIODS)
    connection.execute(statements.NOTE_USAGE_IDS)
    connection.execute(statements.ADD_OWED)
    found = _count(connection, together=False)
    return _Noted(found.crossed, found.closed)


def _count(connection: Connection, *, together: bool) -> Row[Any]:
    """Add what is in ``added``: how many rows there were, and what is noted."""
    with no_nested_loops(connection):
        return connection.execute(statements.COUNT, {"together": together}).one()


def _find_owners(connection: Connection) -> list[Account]:
    """See that the number of each of ``records`` has a segment for its time; what nobody owns is set apart."""
    if not connection.execute(statements.FIND_MISSING).rowcount:
        return []
    needed = connection.execute(statements.CALENDARS_OF_MISSING)
    cover(connection, {Calendar(row.time_zone, row.anchor_day): Years(row.first, row.last) for row in needed})
    connection.execute(statements.MAKE_SEGMENTS)
    unmatched = connection.execute(statements.SET_UNMATCHED_APART)
    return [_account(row.partition, unmatched=row.n) for row in unmatched]


def _judge(connection: Connection, found: _Noted, new: NewRecords, others: pa.ChunkedArray) -> list[ThresholdEvent]:
    """The events of periods that crossed a threshold or were closed.

    Args:
        others: numbers whose records are in the temporary table ``records`` already.
    """
    events: list[ThresholdEvent] = []
    if found.crossed:
        connection.execute(statements.FIND_CROSSING)
        msisdns = pa.chunked_array([connection.scalars(statements.NUMBERS_THAT_CROSS).all()], pa.string())
        copied = pc.is_in(msisdns, others)
        copy(connection, "records", as_records(new.of(msisdns.filter(pc.invert(copied)))))
        with no_nested_loops(connection):
            events += [threshold_event(row) for row in connection.execute(statements.CROSSINGS)]
        connection.execute(statements.SET_NEXT_THRESHOLDS)
    if found.closed:
        events += [amendment(row, AMENDED) for row in connection.execute(statements.AMEND)]
    return events


def _account(partition: int, *, duplicate: int = 0, unmatched: int = 0) -> Account:
    return Account(DATA_RECORDS.name, partition, duplicate=duplicate, unmatched=unmatched)
