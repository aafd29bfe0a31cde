"""Judges billing periods: thresholds that totals reach, totals that changed after an event, periods that are over.

The statements run inside the caller's transaction, which holds the ledger's lock: one transaction judges at a time.
Periods are given by their ``usage_id``. About ``= any(array[...])`` see "Lookups" in docs/architecture.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from bytemeter.plans.arrays import bigint_array
from bytemeter.plans.calendars import Calendar, ensure_periods, years_by_calendar
from bytemeter.plans.events import AMENDED, CLOSED, CORRECTED, Crossing, ThresholdEvent, type_of_threshold
from bytemeter.sql import Statements

SQL = Statements(__package__, "judging.sql")


class ReachedThreshold(NamedTuple):
    """A threshold that the total of a billing period reaches.

    Attributes:
        usage_id, agreement_id, period_start: identify the period.
        total_bytes: of the period.
        period: a row of the view judged_periods.
    """

    usage_id: int
    agreement_id: str
    period_start: dt.datetime
    percent: int
    threshold_bytes: int
    total_bytes: int
    period: Row[Any]

    def event(self, crossing: Crossing | None = None) -> ThresholdEvent:
        """The event: as of the record that crossed the threshold, or with the period's total and latest record."""
        type_ = type_of_threshold(self.percent)
        return _event(self.period, type_, self.percent, self.threshold_bytes, crossing=crossing)


def reach_thresholds(connection: Connection, usage_ids: Iterable[int]) -> list[ReachedThreshold]:
    """The thresholds that the totals of these periods reach and had not reached before; sets their next ones.

    A period without a record reaches none, not even one of 0 bytes. The event of a threshold may have been emitted
    before, because the total fell and rose again, or because the limit was the same before: then it has the same id.

    Returns:
        In the order of agreement, period and threshold.
    """
    rows = connection.execute(SQL["reach_thresholds"], {"usage_ids": bigint_array(usage_ids)})
    return [
        ReachedThreshold(
            row.usage_id, row.agreement_id, row.period_start, row.percent, row.threshold_bytes, row.total_bytes, row
        )
        for row in rows
    ]


def amend(connection: Connection, usage_ids: Collection[int]) -> list[ThresholdEvent]:
    """Amend closed periods, and correct open ones: an event for each with its total and its latest record.

    A period of which the last event says the same gets none. A period that returns to what an event before the last one
    said gets an event of another id (``ThresholdEvent.repetition``).

    Returns:
        In the order of the periods' ends and of the agreements.
    """
    periods = {"usage_ids": bigint_array(usage_ids)}
    if not usage_ids:
        return []
    told: dict[int, list[str]] = {}
    for row in connection.execute(SQL["events_of_periods"], periods):
        told.setdefault(row.usage_id, []).append(str(row.event_id))
    events = {}
    for row in connection.execute(SQL["read_periods"], periods):
        event = _event(row, AMENDED if row.status == "closed" else CORRECTED, ordinal=row.amendments + 1)
        if (said := _unless_told(event, told.get(row.usage_id, []))) is not None:
            events[row.usage_id] = said
    connection.execute(SQL["count_amendments"], {"usage_ids": bigint_array(events)})
    return list(events.values())


def _unless_told(event: ThresholdEvent, told: Sequence[str]) -> ThresholdEvent | None:
    """The event with an id that none of the period's events has; None if the last one is this event."""
    while event.event_id in told:
        if event.event_id == told[-1]:
            return None
        event = replace(event, repetition=event.repetition + 1)
    return event


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
    ends_in = {(Calendar(row.time_zone, row.anchor_day), row.period_end.year) for row in due if row.time_zone}
    ensure_periods(connection, years_by_calendar(ends_in))
    usage_ids = sorted({row.usage_id for row in due})
    periods = {"usage_ids": bigint_array(usage_ids)}
    connection.execute(SQL["drop_periods"], periods)
    closed = {"usage_ids": bigint_array(connection.scalars(SQL["close_periods"], periods))}
    connection.execute(SQL["open_next_periods"], closed)
    events = [_event(row, CLOSED) for row in connection.execute(SQL["read_periods"], closed)]
    return Closed(events, more=len(usage_ids) == most)


def _event(
    period: Row[Any],
    type_: str,
    percent: int | None = None,
    threshold_bytes: int | None = None,
    *,
    crossing: Crossing | None = None,
    ordinal: int = 0,
) -> ThresholdEvent:
    """An event of a period, a row of the view judged_periods: as of a record that crossed, or of the latest one."""
    total, recorded_at, record = crossing or (period.total_bytes, period.latest_recorded_at, period.latest_record)
    return ThresholdEvent(
        agreement_id=period.agreement_id,
        period_start=period.period_start,
        year=period.year,
        month=period.month,
        zone=period.zone,
        limit=period.limit,
        total_bytes=total,
        latest_recorded_at=recorded_at,
        latest_record=record,
        type=type_,
        percent=percent,
        threshold_bytes=threshold_bytes,
        ordinal=ordinal,
    )
