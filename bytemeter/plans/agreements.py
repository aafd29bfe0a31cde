"""Agreements as PostgreSQL stores them, and what new messages change of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from bytemeter.plans.calendars import Calendar, ensure_periods, years_by_calendar
from bytemeter.plans.periods import instant
from bytemeter.sql import Statements

SQL = Statements(__package__, "agreements.sql")
DEFAULT_THRESHOLDS = (50, 80, 100)


@dataclass(frozen=True)
class Agreement:
    """A data plan of an MSISDN, from ``service_start_at`` on until the next agreement of the MSISDN starts.

    Attributes:
        limit: bytes included per billing period.
        thresholds: percents of the limit, ascending; 100 is always one.
        anchor_day: day of the month on which a billing period starts.
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
        """The calendar of its billing periods."""
        return Calendar(self.time_zone, self.anchor_day)

    def owns_as(self, other: Agreement) -> bool:
        """Whether both own the same records in the same billing periods."""
        return (self.msisdn, self.service_start_at, self.signed_at, self.calendar) == (
            other.msisdn,
            other.service_start_at,
            other.signed_at,
            other.calendar,
        )

    def judges_as(self, other: Agreement) -> bool:
        """Whether both have the same thresholds in bytes."""
        return (self.limit, self.thresholds) == (other.limit, other.thresholds)


@dataclass(frozen=True)
class Changes:
    """What new messages change.

    Attributes:
        msisdns: their records may have another owner now.
        relimited: open periods (``usage_id``) of agreements whose limit or thresholds changed: they are to be judged.
    """

    msisdns: frozenset[str]
    relimited: Sequence[int]


def agreement(fields: Mapping[str, Any]) -> Agreement:
    """An agreement from the fields of its message.

    Args:
        fields: id, msisdn, zone: text; signed_us, start_us: microseconds since 1970; limit: bytes; thresholds: list of
            percents, or None; anchor_day: 1 to 31, or None.
    """
    return Agreement(
        id=fields["id"],
        msisdn=fields["msisdn"],
        signed_at=instant(fields["signed_us"]),
        service_start_at=instant(fields["start_us"]),
        time_zone=fields["zone"],
        limit=fields["limit"],
        thresholds=tuple(sorted({*(fields["thresholds"] or DEFAULT_THRESHOLDS), 100})),
        anchor_day=fields["anchor_day"] or 1,
    )


def replace(connection: Connection, messages: Iterable[Agreement]) -> Changes:
    """Write the agreements over the stored ones.

    Key: the id; of several messages with one id the last is written. A new agreement gets its first open billing
    period, with 0 bytes: the one of its arrival, or of its start if that is later.
    """
    latest = {message.id: message for message in messages}
    if not latest:
        return Changes(frozenset(), ())
    stored = {row.id: _stored(row) for row in connection.execute(SQL["read_agreements"], {"ids": list(latest)})}
    connection.execute(SQL["write_agreements"], _columns(latest.values()))
    moved = [new for id_, new in latest.items() if id_ not in stored or not new.owns_as(stored[id_])]
    msisdns = {new.msisdn for new in moved} | {stored[new.id].msisdn for new in moved if new.id in stored}
    if moved:
        connection.execute(SQL["set_served_until"], {"msisdns": list(msisdns)})
        _open_first_periods(connection, moved)
    relimited = [id_ for id_, old in stored.items() if not latest[id_].judges_as(old)]
    periods = connection.scalars(SQL["apply_limits"], {"ids": relimited}).all() if relimited else ()
    return Changes(frozenset(msisdns), periods)


def _open_first_periods(connection: Connection, agreements: Collection[Agreement]) -> None:
    this_year = connection.scalars(text("select extract(year from now())::integer")).one()
    years = ((one.calendar, max(this_year, one.service_start_at.year)) for one in agreements)
    ensure_periods(connection, years_by_calendar(years))
    connection.execute(SQL["open_first_periods"], {"ids": [one.id for one in agreements]})


def _columns(agreements: Collection[Agreement]) -> dict[str, list[object]]:
    return {
        "ids": [one.id for one in agreements],
        "msisdns": [one.msisdn for one in agreements],
        "signed": [one.signed_at for one in agreements],
        "starts": [one.service_start_at for one in agreements],
        "zones": [one.time_zone for one in agreements],
        "limits": [one.limit for one in agreements],
        "thresholds": [json.dumps(one.thresholds) for one in agreements],
        "anchor_days": [one.anchor_day for one in agreements],
    }


def _stored(row: Row[Any]) -> Agreement:
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
