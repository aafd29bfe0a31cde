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
from speed_layer.received import repeated
from speed_layer.seen.ids import Identified, SeenIds


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
    if not rows.num_rows:
        return Agreed(frozenset(), ())
    told = rows.sort_by([("partition", "ascending"), ("record_offset", "ascending")]).to_pylist()
    changes = agreements.replace(connection, map(agreements.agreement, told))
    if changes.msisdns:
        connection.execute(statements.FORGET_SEGMENTS, {"msisdns": list(changes.msisdns)})
    return Agreed(changes.msisdns, reached(connection, changes.limits) if changes.limits else ())


def count_records(connection: Connection, seen: SeenIds, rows: pa.Table, *, waiting_for: Iterable[str]) -> Counted:
    """Count the records that are no repeats, and those that have waited for an agreement of one of these numbers.

    Events are in the order of crossing, amendments of closed periods after them.

    Args:
        rows: of valid records, see ``speed_layer.plans.rows.record_parts``.
    """
    counted = Counted()
    taken = 0
    if rows.num_rows:
        repeats = pa.array(seen.set_apart(connection, Identified.of(rows)))
        counted.accounts += repeated(DATA_RECORDS.name, rows.filter(repeats))
        new = rows.filter(pc.invert(repeats))
        copy(connection, "records", _records(new))
        taken = new.num_rows
    if msisdns := list(waiting_for):
        released = connection.execute(statements.RELEASE, {"msisdns": msisdns}).all()
        counted.accounts += [_account(row.partition, unmatched=-row.n) for row in released]
        taken += sum(row.n for row in released)
    if taken:
        if connection.scalar(statements.ADD_UP) < taken:
            connection.execute(statements.START_AGAIN)
            counted.accounts += _find_owners(connection)
            connection.execute(statements.ADD_UP)
        counted.events += _add(connection)
    return counted


def _records(rows: pa.Table) -> pa.Table:
    """Rows of the table ``records``."""
    times = pc.utf8_lpad(rows.column("event_us").cast(pa.string()), 16, padding="0")
    kept = rows.select(["partition", "record_offset", "event_us", "value", "msisdn"])
    return kept.append_column("order_key", pc.binary_join_element_wise(times, rows.column("internal_id"), ""))


def _find_owners(connection: Connection) -> list[Account]:
    """See that each record's number has a segment for its time; what nobody owns is set apart."""
    connection.execute(statements.FIND_MISSING)
    needed = connection.execute(statements.CALENDARS_OF_MISSING)
    cover(connection, {Calendar(row.time_zone, row.anchor_day): Years(row.first, row.last) for row in needed})
    connection.execute(statements.MAKE_SEGMENTS)
    unmatched = connection.execute(statements.SET_UNMATCHED_APART)
    return [_account(row.partition, unmatched=row.n) for row in unmatched]


def _add(connection: Connection) -> list[ThresholdEvent]:
    """Add what is added up to its periods, and judge those that crossed a threshold or were closed."""
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
