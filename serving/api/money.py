"""What customers and types come to in money: months of the billing zone, exact, and rounded where they are shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row as SqlRow

from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.feeds.billable_events import TYPES
from bytemeter.sql import Statements
from serving.api.parameters import place_of, start_of
from serving.api.reading import Prepared, Reading
from serving.api.totals import moment
from serving.api.usage import Page, Question, Row
from serving.api.zoned import windows

SQL = Statements(__package__, "money.sql")
_BILL = Prepared("bill", SQL["bill"])
CUSTOMER, TYPE = "customer", "type"


# Year and month.
Month = tuple[int, int]


@dataclass(frozen=True)
class Bill:
    """What a customer or a type comes to in a month, in one snapshot.

    Attributes:
        as_of: the last micro-batch that is in it; None before the first one.
        shown, exact: euros, rounded half even to the cent, and as added up.
        rounding: what the rounding has added.
    """

    as_of: dt.datetime | None
    month: str
    shown: Decimal
    exact: Decimal
    rounding: Decimal


def billing_zone(default: str) -> Callable[[Reading], ZoneInfo]:
    """The question for the zone of the billing months: that of the database, or the default before the first event."""
    return lambda reading: ZoneInfo(reading.scalars(SQL["zone"]).one_or_none() or default)


def bill(dimension: str, id_: str, month: Month | None, zone: str) -> Callable[[Reading], Bill | None]:
    """The question for a month, by default the running one; None for a customer without any event, and no type.

    Args:
        dimension: ``customer`` or ``type``.
        zone: see ``billing_zone``.
    """

    def question(reading: Reading) -> Bill | None:
        # It is nearly always right, and then there is no second statement: by this clock, and by the zone as it was.
        start = _start(month or _month(dt.datetime.now(dt.UTC), ZoneInfo(zone)), ZoneInfo(zone))
        found = _found(reading, dimension, id_, start)
        months = ZoneInfo(found.zone or zone)
        asked = month or _month(found.now, months)
        if start != (right := _start(asked, months)):
            found = _found(reading, dimension, id_, right)
        if found.month:
            return Bill(found.counted_at, found.month, found.total_eur, found.total, found.rounding)
        zero = Decimal("0.00")
        known = id_ in TYPES if dimension == TYPE else found.known
        return Bill(found.counted_at, f"{asked[0]}-{asked[1]:02}", zero, zero, zero) if known else None

    return question


def _found(reading: Reading, dimension: str, id_: str, start: dt.datetime) -> SqlRow[Any]:
    (found,) = reading.rows(_BILL, {"dimension": dimension, "id": id_, "start": start})
    return found


def _month(at: dt.datetime, zone: ZoneInfo) -> Month:
    local = at.astimezone(zone)
    return local.year, local.month


def money(question: Question) -> Callable[[Reading], Page]:
    """The question for totals of billing months; its zone is that of the months."""

    def page(reading: Reading) -> Page:
        reading.several()
        now = moment(reading, BILLABLE_EVENTS.name)
        after = question.after or place_of(question.since, "")
        values = {
            **{"since": question.since, "until": question.until, "most": question.limit + 1},
            **{"dimension": question.which.type, "id": question.which.id},
            **{"after_month": start_of(after), "after_id": after[1]},
        }
        found = reading.execute(SQL["months"], values).all()
        rows = []
        for row in found[: question.limit]:
            end = next(windows("1mo", question.zone, row.month, row.month + dt.timedelta(microseconds=1))).end
            final = row.recomputed and end <= row.recomputed_at
            start = row.month.astimezone(question.zone).isoformat()
            source = "batch" if row.recomputed else "live"
            rows.append(Row(question.which.type, row.id, start, str(row.total), source, final))
        last = found[question.limit - 1] if len(found) > question.limit else None
        return Page(now.counted_at, rows, place_of(last.month, last.id) if last else None)

    return page


def _start(month: Month, zone: ZoneInfo) -> dt.datetime:
    first = dt.datetime(*month, 1, tzinfo=dt.UTC)
    # Its start in the zone is at most a day earlier.
    near = windows("1mo", zone, first - dt.timedelta(days=2), first + dt.timedelta(days=2))
    return next(near).start
