"""A life of data plans, drawn from a seed, and what must come of it: plain Python that knows the rules of the docs only.

Owners are asked record by record, at one instant; periods are found by local dates, not by boundaries. Nothing of the
code under test is used.
"""

from __future__ import annotations

import calendar
import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

ZONES = ("Europe/Warsaw", "America/New_York", "Pacific/Apia")
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HOURS = 3 * 365 * 24

# Agreement, zone, anchor day, and the month in which the period starts.
Period = tuple[str, str, int, int, int]


@dataclass
class Message:
    """A message of an agreement, as the oracle keeps it."""

    id: str
    msisdn: str
    signed: dt.datetime
    start: dt.datetime
    zone: str
    anchor: int
    limit: int
    thresholds: list[int]
    effective: dt.datetime | None
    received: dt.datetime
    offset: int

    @property
    def value(self) -> bytes:
        told: dict[str, Any] = {
            "id": self.id, "msisdn": self.msisdn, "signedAt": self.signed.isoformat(),
            "serviceStartAt": self.start.isoformat(), "billingPeriodTimeZone": self.zone, "anchorDay": self.anchor,
            "maxBytesInBillingPeriod": self.limit, "thresholds": self.thresholds,
        }  # fmt: skip
        if self.effective:
            told["effectiveFrom"] = self.effective.isoformat()
        return json.dumps(told).encode()


@dataclass
class Record:
    """A data record."""

    id: str
    msisdn: str
    at: dt.datetime
    size: int

    @property
    def value(self) -> bytes:
        told = {"id": self.id, "msisdn": self.msisdn, "recordedAt": self.at.isoformat(), "recordedBytes": self.size}
        return json.dumps(told).encode()


@dataclass
class Step:
    """A micro-batch, and until when periods are closed after it."""

    number: int
    agreements: list[Message]
    records: list[Record]
    close_until: dt.datetime | None


def life(seed: int, *, agreements: int, records: int, steps: int) -> Iterator[Step]:
    """Micro-batches in event time: agreements that change, numbers handed on, records late by hours and by months."""
    draw = random.Random(seed)
    present: dict[str, Message] = {}
    offset = 0
    for step in range(steps):
        now = BEGIN + dt.timedelta(hours=(step + 1) * HOURS // steps)
        came: list[Message] = []
        for n in range(agreements):
            id_ = f"a{n}"
            if id_ in present and draw.random() > 0.05:
                continue
            if id_ not in present and draw.random() > 3 / steps:
                continue
            offset += 1
            came.append(_changed(draw, present.get(id_), id_, n, now, offset))
            present[id_] = came[-1]
        made = [_record(draw, f"r{step}-{n}", agreements, now) for n in range(records // steps)]
        close = now - dt.timedelta(days=draw.choice([2, 40])) if draw.random() < 0.5 else None
        yield Step(step, came, made, close)


def _changed(
    draw: random.Random, before: Message | None, id_: str, number: int, now: dt.datetime, offset: int
) -> Message:
    start = now + dt.timedelta(hours=draw.randint(-2_000, 300))
    base = before or Message(
        id_, f"48{number // 2}", start - dt.timedelta(days=draw.randint(1, 9)), start, draw.choice(ZONES),
        draw.choice([1, 15, 31]), 1_000, [50, 100], None, now, offset,
    )  # fmt: skip
    kind = draw.choice(["limit", "limit", "msisdn", "zone", "anchor", "start", "nothing"]) if before else "nothing"
    change: dict[str, Any] = {
        "limit": {
            "limit": draw.choice([200, 500, 1_000, 4_000]),
            "thresholds": draw.choice([[50, 100], [80, 90, 100]]),
        },
        "msisdn": {"msisdn": f"48{draw.randint(0, number)}"},
        "zone": {"zone": draw.choice(ZONES)},
        "anchor": {"anchor": draw.choice([1, 15, 31])},
        "start": {"start": start},
    }.get(kind, {})
    effective = draw.choice([None, None, now + dt.timedelta(hours=draw.randint(-3_000, 900))])
    return Message(**{**vars(base), **change, "effective": effective, "received": now, "offset": offset})


def _record(draw: random.Random, id_: str, agreements: int, now: dt.datetime) -> Record:
    late = draw.choice([0, 0, 0, 5, 30, 3_000])
    at = now - dt.timedelta(hours=draw.randint(0, HOURS // 60) + draw.randint(0, late), seconds=draw.randint(0, 3_599))
    return Record(id_, f"48{draw.randint(0, agreements // 2)}", at, draw.randint(0, 700))


def holding(messages: list[Message], at: dt.datetime) -> Message | None:
    """The version of one agreement that holds at an instant, by the rules of docs/data-plans.md."""
    begins: list[tuple[dt.datetime, int, Message]] = []
    for n, message in enumerate(sorted(messages, key=lambda one: (one.received, one.offset))):
        if message.effective:
            begins.append((message.effective, n, message))
        elif any(begin <= message.received for begin, _, _ in begins):
            begins.append((message.received, n, message))
        else:
            begins = [one for one in begins if one[2].effective]
            begins.append((message.start, n, message))
    begun = [one for one in begins if one[0] <= at]
    return max(begun, key=lambda one: one[:2])[2] if begun else None


@dataclass
class Truth:
    """What must be stored after each step."""

    messages: dict[str, list[Message]] = field(default_factory=dict)
    waiting: list[Record] = field(default_factory=list)
    totals: dict[Period, int] = field(default_factory=dict)
    closed: set[Period] = field(default_factory=set)
    limits: dict[Period, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    reached: set[tuple[str, int, int, int]] = field(default_factory=set)

    def take(self, step: Step) -> None:
        """Count a micro-batch."""
        for message in step.agreements:
            self.messages.setdefault(message.id, []).append(message)
        self._judge()
        records, self.waiting = [*self.waiting, *step.records], []
        for record in records:
            period = self.period(record)
            if period is None:
                self.waiting.append(record)
            else:
                self.totals[period] = self.totals.get(period, 0) + record.size
        self._judge()
        if step.close_until is not None:
            self.closed |= {period for period in self.totals if _end(period) <= step.close_until}

    def period(self, record: Record) -> Period | None:
        """The billing period that owns a record, by all that is known."""
        versions = [holding(messages, record.at) for messages in self.messages.values()]
        serving = [one for one in versions if one and one.msisdn == record.msisdn and one.start <= record.at]
        if not serving:
            return None
        owner = max(serving, key=lambda one: (one.start, one.signed, one.id))
        return (
            owner.id,
            owner.zone,
            owner.anchor,
            *_month(record.at.astimezone(ZoneInfo(owner.zone)).date(), owner.anchor),
        )

    def _judge(self) -> None:
        for period, total in self.totals.items():
            if period not in self.closed:
                self.limits[period] = self._terms(period)
            limit, thresholds = self.limits[period]
            for percent in {*thresholds, 100}:
                least = -(-limit * percent // 100)
                if total >= least:
                    self.reached.add((period[0], start_s(period), percent, least))

    def _terms(self, period: Period) -> tuple[int, tuple[int, ...]]:
        """Of the last version that begins before the end; without effectiveFrom it counts at once."""
        end, messages = _end(period), self.messages[period[0]]
        begins = sorted({begin for one in messages for begin in (one.effective, one.received, one.start) if begin})
        found = None
        for begin in begins:
            version = holding(messages, begin)
            if version is not None and (begin < end or version.effective is None):
                found = version
        assert found is not None
        return found.limit, tuple(found.thresholds)


def _month(day: dt.date, anchor: int) -> tuple[int, int]:
    if day.day >= min(anchor, calendar.monthrange(day.year, day.month)[1]):
        return day.year, day.month
    before = day.replace(day=1) - dt.timedelta(days=1)
    return before.year, before.month


def _first(year: int, month: int, anchor: int, zone: str) -> dt.datetime:
    day = min(anchor, calendar.monthrange(year, month)[1])
    return dt.datetime(year, month, day, tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def start_s(period: Period) -> int:
    """The start of a period in seconds since 1970."""
    _, zone, anchor, year, month = period
    return int(_first(year, month, anchor, zone).timestamp())


def _end(period: Period) -> dt.datetime:
    _, zone, anchor, year, month = period
    return _first(year + month // 12, month % 12 + 1, anchor, zone)
