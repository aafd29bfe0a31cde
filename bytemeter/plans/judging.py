"""Judges billing periods: thresholds that totals reach, totals that changed after an event, periods that are over.

The statements run inside the caller's transaction, which holds the ledger's lock: one transaction judges at a time.
Periods are given by their ``usage_id``. About ``= any(array[...])`` see "Lookups" in docs/architecture.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from bytemeter.plans.arrays import bigint_array
from bytemeter.plans.calendars import Calendar, ensure_periods, years_by_calendar
from bytemeter.plans.events import AMENDED, CLOSED, CORRECTED, ThresholdEvent, type_of_threshold
from bytemeter.sql import Statements

SQL = Statements(__package__, "judging.sql")

# Columns of the view judged_periods that are fields of an event.
_PERIOD_FIELDS = (
    "agreement_id",
    "period_start",
    "year",
    "month",
    "zone",
    "limit",
    "total_bytes",
    "latest_recorded_at",
    "latest_record",
)


class ReachedThreshold(NamedTuple):
    """A threshold that the total of a period reaches, and its event: with the total and the latest record as stored."""

    usage_id: int
    event: ThresholdEvent


def reach_thresholds(connection: Connection, usage_ids: Iterable[int]) -> list[ReachedThreshold]:
    """The thresholds that the totals of these periods reach and had not reached before; sets their next ones.

    A period without a record reaches none, not even one of 0 bytes. An event may have been emitted before: the total
    fell and rose again, or the limit was the same before. Then its id is the same.

    Returns:
        In the order of agreement, period and threshold.
    """
    rows = connection.execute(SQL["reach_thresholds"], {"usage_ids": bigint_array(usage_ids)})
    return [
        ReachedThreshold(
            row.usage_id,
            _event(row, type_of_threshold(row.percent), percent=row.percent, threshold_bytes=row.threshold_bytes),
        )
        for row in rows
    ]


def amend(connection: Connection, usage_ids: Collection[int]) -> list[ThresholdEvent]:
    """Emit that the totals of these periods changed: an amendment of a closed period, a correction of an open one."""
    if not usage_ids:
        return []
    periods = {"usage_ids": bigint_array(usage_ids)}
    connection.execute(SQL["count_amendments"], periods)
    return [
        _event(row, AMENDED if row.status == "closed" else CORRECTED, ordinal=row.amendments)
        for row in connection.execute(SQL["read_periods"], periods)
    ]


@dataclass(frozen=True)
class Closed:
    """What one call of ``close_periods`` has closed.

    Attributes:
        events: in the order of the periods' ends and of the agreements.
        more: whether there may be more periods to close.
    """

    events: Sequence[ThresholdEvent]
    more: bool


def close_periods(
    connection: Connection, until: dt.datetime, *, most: int, of_month: tuple[int, int] | None = None
) -> Closed:
    """Close open periods that end at or before ``until``, the earliest first.

    The period after a closed one is opened, with 0 bytes, if the agreement still serves then and had arrived before its
    end: so that it closes, too, if no record ever comes. A due period without a record is dropped instead of closed if
    the agreement does not serve in it any more, or if its calendar has no such period any more.

    A call costs what it closes, however many more periods are due. With ``of_month`` it also passes by those of months
    before.

    Args:
        most: how many to close in this call.
        of_month: close only periods of this (year, month).
    """
    year, month = of_month or (None, None)
    limits = {"until": until, "most": most, "year": year, "month": month}
    due = connection.execute(SQL["due_periods"], limits).all()
    if not due:
        return Closed([], more=False)
    ends_in = {(Calendar(row.time_zone, row.anchor_day), row.period_end.year) for row in due}
    ensure_periods(connection, years_by_calendar(ends_in))
    periods = {"usage_ids": bigint_array(sorted(row.usage_id for row in due))}
    connection.execute(SQL["drop_periods"], periods)
    closed = {"usage_ids": bigint_array(connection.scalars(SQL["close_periods"], periods))}
    connection.execute(SQL["open_next_periods"], closed)
    events = [_event(row, CLOSED) for row in connection.execute(SQL["read_periods"], closed)]
    return Closed(events, more=len(due) == most)


def _event(
    period: Row[Any], type_: str, *, percent: int | None = None, threshold_bytes: int | None = None, ordinal: int = 0
) -> ThresholdEvent:
    """An event of a period, given as a row of the view judged_periods."""
    fields = {name: getattr(period, name) for name in _PERIOD_FIELDS}
    return ThresholdEvent(**fields, type=type_, percent=percent, threshold_bytes=threshold_bytes, ordinal=ordinal)
