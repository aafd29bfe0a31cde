"""Agreements as they stand in PostgreSQL, and what a message changes of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from bytemeter.plans.calendars import Calendar, cover, opening_periods, years_of

DEFAULT_THRESHOLDS = (50, 80, 100)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Agreement:
    """A data plan of a number (msisdn), from ``service_start_at`` on until the next agreement of the number starts.

    Attributes:
        thresholds: percents of the limit, ascending; 100 is always one.
    """

    id: str
    msisdn: str
    signed_at: dt.datetime
    service_start_at: dt.datetime
    time_zone: str
    limit: int
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS
    anchor_day: int = 1

    @property
    def calendar(self) -> Calendar:
        """By which its billing periods are found."""
        return Calendar(self.time_zone, self.anchor_day)

    def serves_as(self, other: Agreement) -> bool:
        """Whether both own the same records in the same periods."""
        return (self.msisdn, self.service_start_at, self.signed_at, self.calendar) == (
            other.msisdn,
            other.service_start_at,
            other.signed_at,
            other.calendar,
        )


@dataclass(frozen=True)
class Changes:
    """What new messages change.

    Attributes:
        msisdns: numbers whose records may have another owner now.
        limits: open periods (agreement, start) of agreements whose limit or thresholds are other ones.
    """

    msisdns: frozenset[str]
    limits: Sequence[tuple[str, dt.datetime]]


def agreement(told: Mapping[str, Any]) -> Agreement:
    """From what its message told: id, msisdn, signed_us, start_us, zone, limit, thresholds and anchor_day or null."""
    return Agreement(
        id=told["id"],
        msisdn=told["msisdn"],
        signed_at=_EPOCH + dt.timedelta(microseconds=told["signed_us"]),
        service_start_at=_EPOCH + dt.timedelta(microseconds=told["start_us"]),
        time_zone=told["zone"],
        limit=told["limit"],
        thresholds=tuple(sorted({*(told["thresholds"] or DEFAULT_THRESHOLDS), 100})),
        anchor_day=told["anchor_day"] or 1,
    )


def replace(connection: Connection, messages: Iterable[Agreement]) -> Changes:
    """Write the agreements, the last of each id, over those that are there.

    Key: the id. A new agreement gets its first open billing period, with 0 bytes: the one of its arrival, or of its
    start if that is later.
    """
    latest = {message.id: message for message in messages}
    if not latest:
        return Changes(frozenset(), ())
    before = {row.id: _of(row) for row in connection.execute(_READ, {"ids": list(latest)})}
    connection.execute(_WRITE, _columns(latest.values()))
    moved = [id_ for id_, one in latest.items() if id_ not in before or not one.serves_as(before[id_])]
    msisdns = {latest[id_].msisdn for id_ in moved} | {before[id_].msisdn for id_ in moved if id_ in before}
    if msisdns:
        connection.execute(_FOLLOW, {"msisdns": list(msisdns)})
    limited = [
        id_ for id_, old in before.items() if (old.limit, old.thresholds) != (latest[id_].limit, latest[id_].thresholds)
    ]
    _open_first_periods(connection, [latest[id_] for id_ in moved])
    open_periods = connection.execute(_OPEN_PERIODS, {"ids": limited}) if limited else ()
    return Changes(frozenset(msisdns), [(row.agreement_id, row.period_start) for row in open_periods])


def _open_first_periods(connection: Connection, moved: Sequence[Agreement]) -> None:
    if not moved:
        return
    this_year = connection.scalars(text("select extract(year from now())::integer")).one()
    cover(connection, years_of((one.calendar, max(this_year, one.service_start_at.year)) for one in moved))
    connection.execute(_OPEN_FIRST, {"ids": [one.id for one in moved]})


def _columns(agreements: Iterable[Agreement]) -> dict[str, list[object]]:
    found = list(agreements)
    return {
        "ids": [one.id for one in found],
        "msisdns": [one.msisdn for one in found],
        "signed": [one.signed_at for one in found],
        "starts": [one.service_start_at for one in found],
        "zones": [one.time_zone for one in found],
        "limits": [one.limit for one in found],
        "thresholds": [json.dumps(one.thresholds) for one in found],
        "anchors": [one.anchor_day for one in found],
    }


def _of(row: Row[Any]) -> Agreement:
    return Agreement(
        row.id,
        row.msisdn,
        row.signed_at,
        row.service_start_at,
        row.billing_period_time_zone,
        row.max_bytes_in_billing_period,
        tuple(row.thresholds),
        row.anchor_day,
    )


_READ = text("""
select
    id, msisdn, signed_at, service_start_at, billing_period_time_zone, max_bytes_in_billing_period, thresholds,
    anchor_day
from agreements
where id = any(cast(:ids as text []))
""")

# Lists within a list would have to be of equal length: the thresholds come as JSON.
_WRITE = text("""
insert into agreements (
    id, msisdn, signed_at, service_start_at, billing_period_time_zone, max_bytes_in_billing_period, thresholds,
    anchor_day
)
select
    a.id, a.msisdn, a.signed_at, a.starts_at, a.time_zone, a.max_bytes,
    cast(translate(a.thresholds, '[]', '{}') as integer []), a.anchor_day
from unnest(
    cast(:ids as text []), cast(:msisdns as text []), cast(:signed as timestamptz []),
    cast(:starts as timestamptz []), cast(:zones as text []), cast(:limits as bigint []),
    cast(:thresholds as text []), cast(:anchors as smallint [])
) as a (id, msisdn, signed_at, starts_at, time_zone, max_bytes, thresholds, anchor_day)
on conflict (id) do update set
    msisdn = excluded.msisdn,
    signed_at = excluded.signed_at,
    service_start_at = excluded.service_start_at,
    billing_period_time_zone = excluded.billing_period_time_zone,
    max_bytes_in_billing_period = excluded.max_bytes_in_billing_period,
    thresholds = excluded.thresholds,
    anchor_day = excluded.anchor_day
""")

# An agreement serves its number until the next one of that number starts. Of two that start at the same instant the one
# signed later serves, the other never does. About "any(array)" see "Look-ups" in docs/architecture.md.
_FOLLOW = text("""
with followed as (
    select
        id,
        coalesce(
            lead(service_start_at) over (partition by msisdn order by service_start_at, signed_at, id),
            timestamptz 'infinity'
        ) as served_until
    from agreements
    where msisdn = any(cast(:msisdns as text []))
)

update agreements as a set served_until = f.served_until
from followed as f
where a.id = any(array[f.id]) and f.served_until <> a.served_until
""")

_OPEN_FIRST = opening_periods("""
from agreements as a
inner join billing_periods as p
    on p.time_zone = a.billing_period_time_zone
    and p.anchor_day = a.anchor_day
    and p.period_start <= greatest(a.arrived_at, a.service_start_at)
    and p.period_end > greatest(a.arrived_at, a.service_start_at)
where a.id = any(cast(:ids as text [])) and a.served_until > greatest(a.arrived_at, a.service_start_at)
on conflict do nothing
""")

_OPEN_PERIODS = text("""
select agreement_id, period_start from data_plan_usage
where agreement_id = any(cast(:ids as text [])) and status = 'open'
order by agreement_id, period_start
""")
