"""What is judged of usage that is counted: thresholds that a changed limit or total has reached, periods that are over.

The statements run inside the caller's transaction, which holds the ledger's lock: one at a time judges. About
``= any(array[...])`` see "Look-ups" in docs/architecture.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from bytemeter.plans.calendars import Calendar, cover, opening_periods, years_of
from bytemeter.plans.events import CLOSED, ThresholdEvent, type_of_threshold


def reached(connection: Connection, periods: Sequence[tuple[str, dt.datetime]]) -> list[ThresholdEvent]:
    """The thresholds that the totals of these periods (agreement, start) have reached; sets their next ones anew.

    For changed limits and corrected totals: the events tell the total as it is and the latest record. Some may have
    been emitted before; a period without a record has reached none.
    """
    chosen = {"agreements": [agreement for agreement, _ in periods], "starts": [start for _, start in periods]}
    events = [threshold_event(row) for row in connection.execute(_REACHED, chosen)]
    connection.execute(_NEXT, chosen)
    return events


@dataclass(frozen=True)
class Closing:
    """What one call of ``close`` has closed.

    Attributes:
        events: in the order of the periods' ends and of the agreements.
        more: whether there may be more periods to close.
    """

    events: list[ThresholdEvent]
    more: bool


def close(connection: Connection, until: dt.datetime, *, most: int, of_month: tuple[int, int] | None = None) -> Closing:
    """Close open periods that end at or before ``until``, the earliest first, at most so many.

    Args:
        of_month: close only periods of this (year, month).

    The period after is opened, with 0 bytes, if the agreement still serves then and had arrived before its end: so
    that it closes, too, if no record ever comes. A period of 0 bytes in which the agreement does not serve any more
    is dropped, and so is one that is no period of the agreement any more.

    A call costs what it closes, however many more periods are over. With ``of_month`` it also passes by those of months
    before.
    """
    year, month = of_month or (None, None)
    due = connection.execute(_DUE, {"until": until, "most": most, "year": year, "month": month}).all()
    if not due:
        return Closing([], more=False)
    ends_in = {(row.time_zone, row.anchor_day, row.period_end.year) for row in due}
    cover(connection, years_of((Calendar(zone, anchor_day), year) for zone, anchor_day, year in ends_in))
    ids = {"ids": sorted(row.usage_id for row in due)}
    connection.execute(_DROP, ids)
    closed = sorted(connection.execute(_CLOSE, ids), key=lambda row: (row.period_end, row.agreement_id))
    ends = {"agreements": [row.agreement_id for row in closed], "ends": [row.period_end for row in closed]}
    connection.execute(_OPEN_NEXT, ends)
    events = [ThresholdEvent(**_told(row), type=CLOSED, percent=None, threshold_bytes=None) for row in closed]
    return Closing(events, more=len(due) == most)


def threshold_event(row: Row[Any]) -> ThresholdEvent:
    """The event of a threshold; the row has the columns of ``ThresholdEvent`` but the type."""
    return ThresholdEvent(
        **_told(row),
        type=type_of_threshold(row.percent),
        percent=row.percent,
        threshold_bytes=row.threshold_bytes,
    )


def amendment(row: Row[Any], type_: str) -> ThresholdEvent:
    """The event that a total is another than was told; the row has also the ordinal."""
    return ThresholdEvent(**_told(row), type=type_, percent=None, threshold_bytes=None, ordinal=row.ordinal)


def _told(row: Row[Any]) -> dict[str, Any]:
    names = ("agreement_id", "period_start", "year", "month", "zone", "limit", "total_bytes", "latest_recorded_at")
    return {**{name: getattr(row, name) for name in names}, "latest_record": row.latest_record}


_REACHED = text("""
select
    u.agreement_id, u.period_start, u.year, u.month,
    a.billing_period_time_zone as zone, a.max_bytes_in_billing_period as "limit",
    t.percent, threshold_bytes(t.percent, a.max_bytes_in_billing_period) as threshold_bytes,
    u.total_recorded_bytes as total_bytes, u.latest_recorded_at, u.latest_internal_record_id as latest_record
from unnest(cast(:agreements as text []), cast(:starts as timestamptz [])) as chosen (agreement_id, period_start)
inner join data_plan_usage as u
    on u.agreement_id = any(array[chosen.agreement_id]) and u.period_start = chosen.period_start
inner join agreements as a on a.id = any(array[u.agreement_id])
cross join lateral unnest(a.thresholds) as t (percent)
where
    u.latest_recorded_at is not null
    and threshold_bytes(t.percent, a.max_bytes_in_billing_period) <= u.total_recorded_bytes
order by u.agreement_id, u.period_start, threshold_bytes, t.percent
""")

_NEXT = text("""
update data_plan_usage as u set
    next_threshold_bytes = next_threshold(
        a.thresholds,
        a.max_bytes_in_billing_period,
        case when u.latest_recorded_at is not null then u.total_recorded_bytes end
    )
from unnest(cast(:agreements as text []), cast(:starts as timestamptz [])) as chosen (agreement_id, period_start)
inner join agreements as a on a.id = any(array[chosen.agreement_id])
where u.agreement_id = any(array[chosen.agreement_id]) and u.period_start = chosen.period_start
""")

# Not in the order of agreements, too: all that end at the same instant would be sorted each time.
_DUE = text("""
with due as (
    select usage_id, agreement_id, period_end
    from data_plan_usage
    where
        status = 'open' and period_end <= :until
        and (cast(:year as integer) is null or (year, month) = (:year, :month))
    order by period_end
    limit :most
)

select due.usage_id, due.period_end, a.billing_period_time_zone as time_zone, a.anchor_day
from due
inner join agreements as a on a.id = any(array[due.agreement_id])
""")

_DROP = text("""
delete from data_plan_usage as u
using unnest(cast(:ids as bigint [])) as due (usage_id), agreements as a
where
    u.usage_id = any(array[due.usage_id]) and u.latest_recorded_at is null
    and a.id = any(array[u.agreement_id])
    and (
        a.served_until <= u.period_start
        or a.service_start_at >= u.period_end
        or not exists (
            select from billing_periods as p
            where
                p.time_zone = a.billing_period_time_zone and p.anchor_day = a.anchor_day
                and p.period_start = u.period_start
        )
    )
""")

_CLOSE = text("""
update data_plan_usage as u set status = 'closed'
from unnest(cast(:ids as bigint [])) as due (usage_id), agreements as a
where u.usage_id = any(array[due.usage_id]) and a.id = any(array[u.agreement_id])
returning
    u.agreement_id, u.period_start, u.period_end, u.year, u.month,
    a.billing_period_time_zone as zone, a.max_bytes_in_billing_period as "limit",
    u.total_recorded_bytes as total_bytes, u.latest_recorded_at, u.latest_internal_record_id as latest_record
""")

_OPEN_NEXT = opening_periods("""
from unnest(cast(:agreements as text []), cast(:ends as timestamptz [])) as closed (agreement_id, period_end)
inner join agreements as a on a.id = any(array[closed.agreement_id])
cross join lateral (
    select *
    from billing_periods as b
    where
        b.time_zone = a.billing_period_time_zone and b.anchor_day = a.anchor_day
        and b.period_end > closed.period_end
    order by b.period_start
    limit 1
) as p
where p.period_end > a.arrived_at and p.period_end > a.service_start_at and p.period_start < a.served_until
on conflict do nothing
""")
