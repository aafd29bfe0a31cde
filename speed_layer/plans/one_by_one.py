"""Counts records that PostgreSQL must look at one by one, because their owner is not known or not the same for all.

These are the records of MSISDNs that are new to the process, whose records belong to several billing periods, or that
have no owner; and records that have waited in ``unmatched_records`` for an agreement.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Connection

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from bytemeter.sql import Statements
from speed_layer.engine.live_query import Account
from speed_layer.plans.additions import Added, add_to_periods
from speed_layer.plans.tables import copy_single_records

SQL = Statements(__package__, "one_by_one.sql")


@dataclass(frozen=True)
class CountedOneByOne:
    """What ``count_one_by_one`` has counted.

    Attributes:
        added: the billing periods to which records were added.
        accounts: records that became unmatched, and that were unmatched before (negative), by partition.
    """

    added: Added
    accounts: Sequence[Account]


def count_one_by_one(connection: Connection, records: pa.Table, *, changed_msisdns: Collection[str]) -> CountedOneByOne:
    """Find the billing period of each record, add the records, and set those without an owner apart.

    Reads and writes ``plan_segments`` and ``unmatched_records``; writes ``single_records``, ``additions`` and
    ``data_plan_usage``.

    Args:
        records: see ``speed_layer.executor.plans.record_parts``.
        changed_msisdns: MSISDNs whose agreements have changed: their unmatched records may have an owner now.
    """
    copy_single_records(connection, records)
    released = _release(connection, changed_msisdns)
    count = records.num_rows - sum(account.unmatched for account in released)
    if not count:
        return CountedOneByOne(Added(), ())
    unmatched = _find_periods(connection, count)
    return CountedOneByOne(_add(connection), [*released, *unmatched])


def _release(connection: Connection, msisdns: Collection[str]) -> list[Account]:
    if not msisdns:
        return []
    released = connection.execute(SQL["release_unmatched"], {"msisdns": list(msisdns)})
    return [Account(DATA_RECORDS.name, row.partition, unmatched=-row.records) for row in released]


def _find_periods(connection: Connection, count: int) -> list[Account]:
    """Give each of so many records its billing period; make the spans and the periods that are missing."""
    if connection.execute(SQL["find_periods"]).rowcount == count:
        return []
    needed = connection.execute(SQL["needed_calendars"])
    years = {Calendar(row.time_zone, row.anchor_day): Years(row.first_year, row.last_year) for row in needed}
    ensure_periods(connection, years)
    connection.execute(SQL["make_spans"])
    connection.execute(SQL["open_periods_of_records"])
    connection.execute(SQL["note_periods"])
    connection.execute(SQL["find_periods"])
    unmatched = connection.execute(SQL["set_unmatched_apart"])
    return [Account(DATA_RECORDS.name, row.partition, unmatched=row.records) for row in unmatched]


def _add(connection: Connection) -> Added:
    periods = connection.execute(SQL["sum_single_records"]).rowcount
    added = add_to_periods(connection, one_by_one=True)
    if added.periods != periods:
        raise BytemeterError(
            f"plan_segments names {periods - added.periods} billing periods that data_plan_usage does not have; "
            "delete the rows of plan_segments, they are made again"
        )
    return added
