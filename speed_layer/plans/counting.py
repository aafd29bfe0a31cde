"""Counts staged agreements and data records: matched with their owners, added up, thresholds judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans import agreements
from bytemeter.plans.calendars import Calendar, Years, cover
from bytemeter.plans.events import AMENDED, ThresholdEvent
from bytemeter.plans.judging import amendment, reached, threshold_event
from speed_layer.copying import copy
from speed_layer.live_query import Account
from speed_layer.plans import statements
from speed_layer.plans.rows import as_records, by_number
from speed_layer.received import repeated
from speed_layer.seen.ids import Identified, SeenIds

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


def take_agreements(connection: Connection, rows: pa.Table) -> Agreed:
    """Write the agreements (see ``speed_layer.plans.rows.agreement_parts``); judge changed limits at once."""
    told = rows.sort_by([("partition", "ascending"), ("record_offset", "ascending")])
    msisdns: set[str] = set()
    events: list[ThresholdEvent] = []
    for begin in range(0, told.num_rows, _AGREEMENTS_AT_ONCE):
        some = told.slice(begin, _AGREEMENTS_AT_ONCE).to_pylist()
        changes = agreements.replace(connection, map(agreements.agreement, some))
        if changes.msisdns:
            connection.execute(statements.FORGET_SEGMENTS, {"msisdns": list(changes.msisdns)})
        if changes.limits:
            events += reached(connection, changes.limits)
        msisdns |= changes.msisdns
    return Agreed(frozenset(msisdns), events)


def count_records(connection: Connection, seen: SeenIds, rows: pa.Table, *, waiting_for: Iterable[str]) -> Counted:
    """Count the records that are no repeats, and those that have waited for an agreement of one of these numbers.

    Records of one number are added up before PostgreSQL has them; it looks at them one by one only where their owner or
    their order asks for it. Events are in the order of crossing, amendments of closed periods after them.

    Args:
        rows: of valid records, see ``speed_layer.plans.rows.record_parts``.
        waiting_for: numbers whose agreements have changed; their segments are forgotten (see ``take_agreements``).
    """
    counted = Counted()
    awaited = list(waiting_for)
    if not rows.num_rows and not awaited:
        return counted
    repeats = pa.array(seen.set_apart(connection, Identified.of(rows)))
    counted.accounts += repeated(DATA_RECORDS.name, rows.filter(repeats))
    new = rows.filter(pc.invert(repeats))
    if awaited:
        released = connection.execute(statements.RELEASE, {"msisdns": awaited}).all()
        counted.accounts += [_account(row.partition, unmatched=-row.n) for row in released]
    # Those of a number without segments are looked at singly, together with those that have waited.
    single, together = _parted(new, _add_up_by_number(connection, new))
    copy(connection, "records", as_records(single))
    counted.accounts += _find_owners(connection)
    connection.execute(statements.ADD_UP)
    counted.events += _add(connection, together)
    return counted


def _add_up_by_number(connection: Connection, records: pa.Table) -> Sequence[str]:
    """Add up the numbers of which one owner has all records. Returns the others."""
    if not records.num_rows:
        return []
    copy(connection, "by_number", by_number(records))
    return connection.scalars(statements.TAKE_NUMBERS).all()


def _parted(records: pa.Table, numbers: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """The records of these numbers, and the others."""
    chosen = pc.is_in(records.column("msisdn"), value_set=pa.array(numbers, pa.string()))
    return records.filter(chosen), records.filter(pc.invert(chosen))


def _find_owners(connection: Connection) -> list[Account]:
    """See that the number of each of ``records`` has a segment for its time; what nobody owns is set apart."""
    if not connection.execute(statements.FIND_MISSING).rowcount:
        return []
    needed = connection.execute(statements.CALENDARS_OF_MISSING)
    cover(connection, {Calendar(row.time_zone, row.anchor_day): Years(row.first, row.last) for row in needed})
    connection.execute(statements.MAKE_SEGMENTS)
    unmatched = connection.execute(statements.SET_UNMATCHED_APART)
    return [_account(row.partition, unmatched=row.n) for row in unmatched]


def _add(connection: Connection, together: pa.Table) -> list[ThresholdEvent]:
    """Add what is added up to its periods, and judge those that crossed a threshold or were closed.

    Args:
        together: records that were added up by their numbers, and are not in ``records``.
    """
    found = connection.execute(statements.COUNT, {"made": False}).one()
    crossed, closed = found.crossed, found.closed
    if found.lacking:
        connection.execute(statements.MAKE_PERIODS)
        made = connection.execute(statements.COUNT, {"made": True}).one()
        crossed |= made.crossed
    events: list[ThresholdEvent] = []
    if crossed:
        numbers = connection.scalars(statements.NUMBERS_THAT_CROSS).all()
        of_crossing, _ = _parted(together, numbers)
        copy(connection, "records", as_records(of_crossing))
        events += [threshold_event(row) for row in connection.execute(statements.CROSSINGS)]
        connection.execute(statements.SET_NEXT_THRESHOLDS)
    if closed:
        events += [amendment(row, AMENDED) for row in connection.execute(statements.AMEND)]
    return events


def _account(partition: int, *, duplicate: int = 0, unmatched: int = 0) -> Account:
    return Account(DATA_RECORDS.name, partition, duplicate=duplicate, unmatched=unmatched)
