"""What customers and types come to in money: months of the billing zone, exact, and rounded where they are shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.feeds.billable_events import TYPES
from bytemeter.sql import Statements
from serving.api.parameters import place_of, start_of
from serving.api.totals import moment
from serving.api.usage import Page, Question, Row
from serving.api.zoned import windows

SQL = Statements(__package__, "money.sql")
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


def billing_zone(default: str) -> Callable[[Connection], ZoneInfo]:
    """The question for the zone of the billing months: that of the database, or the default before the first event."""
    return lambda connection: ZoneInfo(connection.scalars(SQL["zone"]).one_or_none() or default)


def bill(dimension: str, id_: str, month: Month | None, zone: str) -> Callable[[Connection], Bill | None]:
    """The question for a month, by default the running one; None for a customer without any event, and no type.

    Args:
        dimension: ``customer`` or ``type``.
        zone: see ``billing_zone``.
    """

    def question(connection: Connection) -> Bill | None:
        now, months = moment(connection, BILLABLE_EVENTS.name), billing_zone(zone)(connection)
        local = now.now.astimezone(months)
        asked = month or (local.year, local.month)
        key = {"dimension": dimension, "id": id_}
        found = connection.execute(SQL["month_of_id"], {**key, "start": _start(asked, months)}).one_or_none()
        if found:
            return Bill(found.as_of, found.month, found.total_eur, found.total, found.rounding)
        known = id_ in TYPES if dimension == TYPE else connection.scalars(SQL["is_known"], key).one()
        zero = Decimal("0.00")
        return Bill(now.counted_at, f"{asked[0]}-{asked[1]:02}", zero, zero, zero) if known else None

    return question


def money(question: Question) -> Callable[[Connection], Page]:
    """The question for totals of billing months; its zone is that of the months."""

    def page(connection: Connection) -> Page:
        now = moment(connection, BILLABLE_EVENTS.name)
        after = question.after or place_of(question.since, "")
        values = {
            **{"since": question.since, "until": question.until, "most": question.limit + 1},
            **{"dimension": question.which.type, "id": question.which.id},
            **{"after_month": start_of(after), "after_id": after[1]},
        }
        found = connection.execute(SQL["months"], values).all()
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
