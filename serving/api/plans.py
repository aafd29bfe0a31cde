"""The data plan of an MSISDN: what is used and left in a billing period, and when it runs out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans.periods import BillingPeriod, periods
from bytemeter.sql import Statements
from serving.api.projection import Projection, Stretch, project
from serving.api.totals import moment

SQL = Statements(__package__, "plans.sql")


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


def data_plan(msisdn: str, at: dt.datetime | None = None) -> Callable[[Connection], DataPlan | None]:
    """The question for a snapshot: the plan at an instant, by default now; None if no agreement serves the MSISDN."""

    def question(connection: Connection) -> DataPlan | None:
        now = moment(connection, DATA_RECORDS.name)
        asked = at or now.now
        found = connection.execute(SQL["plan"], {"msisdn": msisdn, "at": asked}).one_or_none()
        return _plan(connection, found, asked, now.now, now.counted_at) if found else None

    return question


def _plan(
    connection: Connection, found: Row[Any], at: dt.datetime, now: dt.datetime, counted_at: dt.datetime | None
) -> DataPlan:
    zone, period = ZoneInfo(found.billing_period_time_zone), _period(found, at)
    key = {"agreement": found.agreement_id, "start": period.start}
    usage = connection.execute(SQL["period"], {**key, "end": period.end}).one()
    total, limit = usage.total, usage.max_bytes
    values = {**key, "total": total, "thresholds": usage.thresholds, "limit": limit}
    thresholds = connection.execute(SQL["thresholds"], values).all()
    since = max(period.start, found.service_start_at)
    projection = None
    if since < at < period.end and now < period.end and total is not None and total < limit:
        earlier = connection.execute(SQL["earlier_periods"], key).all()
        projection = project(
            _stretches(since, at, total, thresholds),
            [Stretch((e.period_end - e.period_start).total_seconds(), e.total_recorded_bytes) for e in earlier],
            limit=limit,
            left_s=(period.end - at).total_seconds(),
        )
    return DataPlan(
        counted_at, at, found.msisdn, found.agreement_id, zone, period, total or 0, limit,
        [Threshold(t.percent, t.threshold_bytes, t.reached, t.crossed_at) for t in thresholds],
        usage.latest_recorded_at, usage.closed, projection,
    )  # fmt: skip


def _period(found: Row[Any], at: dt.datetime) -> BillingPeriod:
    """The billing period of an instant: as it is stored, else as it would be computed now."""
    if found.period_start is not None:
        return BillingPeriod(found.period_start, found.period_end, found.year, found.month)
    zone = ZoneInfo(found.billing_period_time_zone)
    near = periods(zone, found.anchor_day, first_year=at.year - 1, last_year=at.year + 1)
    return next(period for period in near if period.start <= at < period.end)


def _stretches(since: dt.datetime, at: dt.datetime, total: int, thresholds: Sequence[Row[Any]]) -> list[Stretch]:
    """The use from the period's start until now, in stretches between crossings, as far as they follow one another."""
    made: list[Stretch] = []
    seconds, used = 0.0, 0
    crossings = sorted((t.crossed_at, t.total_at_crossing) for t in thresholds if t.crossed_at)
    for instant, until_then in [*crossings, (at, total)]:
        passed = (instant - since).total_seconds()
        # Two thresholds may be crossed by one record; a late record may have crossed one long ago.
        if passed > seconds and used <= until_then <= total:
            made.append(Stretch(passed - seconds, until_then - used))
            seconds, used = passed, until_then
    return made
