"""What data plan totals and events must be: messages read with an independent client, added up by DuckDB.

The billing period of a record is found by its local date, not by the boundaries of periods.
"""

from __future__ import annotations

import calendar
import datetime as dt
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import duckdb
import pyarrow as pa

from bytemeter.settings import Settings
from tests.integration.oracle import received

EVENTS = uuid.UUID("5d3c1e0e-7c5b-4f43-9d0e-1b7a3f5f6c11")
ZONED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?[+-]\d\d:\d\d)(?:\[(.*)\])?")
ZONES = available_timezones()

Month = tuple[str, int, int]


@dataclass(frozen=True)
class PlanTruth:
    """Bytes by (agreement, year, month), ids of the threshold events, and how many records came to what."""

    totals: dict[Month, int]
    thresholds: set[str]
    received: int
    counted: int
    duplicate: int
    invalid: int


def truth(settings: Settings) -> PlanTruth:
    """What must be counted; every number has one agreement, that served all along."""
    agreements = {a["msisdn"]: a for a in (json.loads(m.value) for m in received(settings, "agreements"))}
    messages = received(settings, "data-records")
    records = [found for message in messages if (found := _record(message, agreements)) is not None]
    table = pa.Table.from_pylist(records)  # noqa: F841 - DuckDB finds it by its name
    database = duckdb.connect()
    database.execute(
        """
        create table counted as
        select * from table
        qualify row_number() over (partition by id, hour order by part, position) = 1
    """.replace("from table", 'from "table"')
    )
    totals = database.execute("select agreement, year, month, sum(bytes) from counted group by all").fetchall()
    (counted,) = database.execute("select count(*) from counted").fetchone() or (0,)
    by_month = {(agreement, year, month): int(total) for agreement, year, month, total in totals}
    plans = {a["id"]: a for a in agreements.values()}
    events = {event for key, total in by_month.items() for event in _events(plans[key[0]], key, total)}
    return PlanTruth(by_month, events, len(messages), counted, len(records) - counted, len(messages) - len(records))


def _record(message: Any, agreements: dict[str, Any]) -> dict[str, Any] | None:
    try:
        told = json.loads((message.value or b"").decode())
        matched = ZONED.fullmatch(told["recordedAt"])
        at = dt.datetime.fromisoformat(matched.group(1)) if matched else None
    except (ValueError, KeyError, TypeError):
        return None
    good = at is not None and (matched is not None) and matched.group(2) in ZONES
    good = good and all(type(told.get(name)) is str for name in ("id", "msisdn"))
    if not good or not 0 < len(told["id"]) <= 512 or "\0" in told["id"] or not told["msisdn"].isdigit():
        return None
    if type(told.get("recordedBytes")) is not int or told["recordedBytes"] < 0 or at is None:
        return None
    plan = agreements[told["msisdn"]]
    year, month = _period(at.astimezone(ZoneInfo(plan["billingPeriodTimeZone"])).date(), plan.get("anchorDay", 1))
    return {
        "id": told["id"], "hour": int(at.timestamp()) // 3600, "part": message.partition, "position": message.offset,
        "agreement": plan["id"], "year": year, "month": month, "bytes": told["recordedBytes"],
    }  # fmt: skip


def _period(day: dt.date, anchor_day: int) -> tuple[int, int]:
    """The month in which the period of a local date started."""
    if day.day >= min(anchor_day, calendar.monthrange(day.year, day.month)[1]):
        return day.year, day.month
    before = day.replace(day=1) - dt.timedelta(days=1)
    return before.year, before.month


def _events(plan: dict[str, Any], key: Month, total: int) -> list[str]:
    _, year, month = key
    day = min(plan.get("anchorDay", 1), calendar.monthrange(year, month)[1])
    start = dt.datetime(year, month, day, tzinfo=ZoneInfo(plan["billingPeriodTimeZone"])).astimezone(dt.UTC)
    found = []
    for percent in {*plan.get("thresholds", (50, 80)), 100}:
        least = -(-plan["maxBytesInBillingPeriod"] * percent // 100)
        if total >= least:
            type_ = "DATA_PLAN_EXCEEDED" if percent == 100 else "DATA_PLAN_THRESHOLD_REACHED"
            found.append(
                str(uuid.uuid5(EVENTS, f"{plan['id']}|{start:%Y-%m-%dT%H:%M:%SZ}|{type_}|{percent}|{least}|0"))
            )
    return found
