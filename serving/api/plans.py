"""The data plan of an MSISDN: what is used and left in a billing period, and when it runs out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Row

from bytemeter.plans.periods import BillingPeriod, periods
from bytemeter.sql import Statements
from serving.api.projection import Projection, Stretch, project
from serving.api.reading import Prepared, Reading

_PLAN = Prepared("data_plan", Statements(__package__, "plans.sql")["plan"])


class _Crossing(msgspec.Struct, array_like=True):
    """A threshold, as ``plans.sql`` has it; the last two are null as long as no record has crossed it."""

    percent: int
    bytes: int
    reached: bool
    crossed_at: dt.datetime | None
    total_at_crossing: int | None


_THRESHOLDS = msgspec.json.Decoder(list[_Crossing])
# Seconds and bytes of each period.
_EARLIER = msgspec.json.Decoder(list[tuple[float, int]])


@dataclass(frozen=True)
class Threshold:
    """A threshold of a plan.

    Attributes:
        crossed_at: the time of the record that has crossed it; None if none has, or it was reached in another way, such
            as by a lower limit.
    """

    percent: int
    bytes: int
    reached: bool
    crossed_at: dt.datetime | None


@dataclass(frozen=True)
class DataPlan:
    """A billing period of an agreement, in one snapshot.

    Attributes:
        as_of: the last micro-batch that is in it.
        at: the instant that was asked about.
        zone: the agreement's.
        closed: whether the period is closed; late records then amend it.
        projection: from ``at`` on; None if the period is over, the limit reached, or nothing used.
    """

    as_of: dt.datetime | None
    at: dt.datetime
    msisdn: str
    agreement_id: str
    zone: ZoneInfo
    period: BillingPeriod
    used: int
    limit: int
    thresholds: list[Threshold]
    latest_recorded_at: dt.datetime | None
    closed: bool
    projection: Projection | None

    @property
    def left(self) -> int:
        """Bytes that are left; 0 once the limit is passed."""
        return max(self.limit - self.used, 0)


def data_plan(msisdn: str, at: dt.datetime | None = None) -> Callable[[Reading], DataPlan | None]:
    """The question for a snapshot: the plan at an instant, by default now; None if no agreement serves the MSISDN."""

    def question(reading: Reading) -> DataPlan | None:
        values = {"msisdn": msisdn, "at": at, "start": None, "end": None}
        found = _found(reading, values)
        if found is None:
            return None
        asked = at or found.now
        if found.starts_at is not None:
            return _plan(found, asked, BillingPeriod(found.starts_at, found.ends_at, found.year, found.month))
        period = _period(found, asked)
        found = _found(reading, {**values, "start": period.start, "end": period.end})
        return _plan(found, asked, period) if found else None

    return question


def _found(reading: Reading, values: Mapping[str, Any]) -> Row[Any] | None:
    rows = reading.rows(_PLAN, values)
    return rows[0] if rows else None


def _plan(found: Row[Any], at: dt.datetime, period: BillingPeriod) -> DataPlan:
    total, limit = found.total, found.max_bytes
    thresholds = _THRESHOLDS.decode(found.thresholds or "[]")
    since = max(period.start, found.service_start_at)
    projection = None
    if since < at < period.end and found.now < period.end and total is not None and total < limit:
        projection = project(
            _stretches(since, at, total, thresholds),
            [Stretch(seconds, used) for seconds, used in _EARLIER.decode(found.earlier or "[]")],
            limit=limit,
            left_s=(period.end - at).total_seconds(),
        )
    return DataPlan(
        found.counted_at, at, found.msisdn, found.agreement_id, ZoneInfo(found.billing_period_time_zone), period,
        total or 0, limit, [Threshold(t.percent, t.bytes, t.reached, t.crossed_at) for t in thresholds],
        found.latest_recorded_at, found.closed, projection,
    )  # fmt: skip


def _period(found: Row[Any], at: dt.datetime) -> BillingPeriod:
    """The billing period of an instant, whose boundaries are not stored yet."""
    zone = ZoneInfo(found.billing_period_time_zone)
    near = periods(zone, found.anchor_day, first_year=at.year - 1, last_year=at.year + 1)
    return next(period for period in near if period.start <= at < period.end)


def _stretches(since: dt.datetime, at: dt.datetime, total: int, thresholds: Sequence[_Crossing]) -> list[Stretch]:
    """The use from the period's start until now, in stretches between crossings, as far as they follow one another."""
    made: list[Stretch] = []
    seconds, used = 0.0, 0
    crossings = sorted((t.crossed_at, t.total_at_crossing or 0) for t in thresholds if t.crossed_at)
    for instant, until_then in [*crossings, (at, total)]:
        passed = (instant - since).total_seconds()
        # Two thresholds may be crossed by one record; a late record may have crossed one long ago.
        if passed > seconds and used <= until_then <= total:
            made.append(Stretch(passed - seconds, until_then - used))
            seconds, used = passed, until_then
    return made
