"""A life of data plans, drawn from a seed: agreements that change, records that come late, zone data that change.

What must come of it is in ``life_truth``.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

ZONES = ("Europe/Warsaw", "America/New_York", "Pacific/Apia")
ANCHORS = (1, 15, 31)
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HOURS = 3 * 365 * 24
# Billing periods of this year and later ones are stored before the life begins. In the middle of it the zone data
# change: Warsaw has the offsets of Kyiv, also in the years before, which nobody has asked for until then.
STORED_SINCE = 2018
CHANGED_ZONES = {"Europe/Warsaw": "Europe/Kyiv"}
SEAM = dt.datetime(STORED_SINCE, 1, 1, tzinfo=ZoneInfo("Europe/Warsaw")).astimezone(dt.UTC)


@dataclass
class Message:
    """A message of an agreement."""

    id: str
    msisdn: str
    signed: dt.datetime
    start: dt.datetime
    end: dt.datetime | None
    zone: str
    anchor: int
    limit: int
    thresholds: list[int]
    effective: dt.datetime | None
    received: dt.datetime
    offset: int

    @property
    def value(self) -> bytes:
        """The message's value in Kafka."""
        told: dict[str, Any] = {
            "id": self.id, "msisdn": self.msisdn, "signedAt": self.signed.isoformat(),
            "serviceStartAt": self.start.isoformat(), "billingPeriodTimeZone": self.zone, "anchorDay": self.anchor,
            "maxBytesInBillingPeriod": self.limit, "thresholds": self.thresholds,
        }  # fmt: skip
        if self.effective:
            told["effectiveFrom"] = self.effective.isoformat()
        if self.end:
            told["serviceEndAt"] = self.end.isoformat()
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
        """The message's value in Kafka."""
        told = {"id": self.id, "msisdn": self.msisdn, "recordedAt": self.at.isoformat(), "recordedBytes": self.size}
        return json.dumps(told).encode()


@dataclass
class Step:
    """A micro-batch, and what comes after it.

    Attributes:
        zone_data_change: whether the zone data change before it.
        close_until: until when the live query closes periods, if it does.
        month: which month is recomputed, if one is: its year and month.
        now: the clock.
    """

    number: int
    agreements: list[Message]
    records: list[Record]
    zone_data_change: bool
    close_until: dt.datetime | None
    month: tuple[int, int] | None
    now: dt.datetime


def life(seed: int, *, agreements: int, records: int, steps: int) -> Iterator[Step]:
    """Micro-batches in event time, over three years."""
    draw = random.Random(seed)
    present: dict[str, Message] = {}
    offset = 0
    for step in range(steps):
        now = BEGIN + dt.timedelta(hours=(step + 1) * HOURS // steps)
        came: list[Message] = []
        for n in range(agreements):
            id_ = f"a{n}"
            if draw.random() > (0.05 if id_ in present else 3 / steps):
                continue
            offset += 1
            came.append(_changed(draw, present.get(id_), id_, n, now, offset))
            present[id_] = came[-1]
        made = [_record(draw, f"r{step}-{n}", agreements, now) for n in range(records // steps)]
        if changes := step == steps // 2:
            offset += 1
            came.append(_years_late(now, offset))
        if step >= steps // 2:
            made += [_years_ago(draw, f"r{step}-{n}-late") for n in range(3)]
        close = now - dt.timedelta(days=draw.choice([10, 40])) if draw.random() < 0.5 else None
        before = now - dt.timedelta(days=draw.choice([5, 5, 40, 100, 400]))
        month = (before.year, before.month) if draw.random() < 0.5 and before > BEGIN else None
        yield Step(step, came, made, changes, close, month, now)


def _changed(
    draw: random.Random, before: Message | None, id_: str, number: int, now: dt.datetime, offset: int
) -> Message:
    start = now + dt.timedelta(hours=draw.randint(-2_000, 300))
    base = before or Message(
        id_, f"48{number // 2}", start - dt.timedelta(days=draw.randint(1, 9)), start, None, draw.choice(ZONES),
        draw.choice(ANCHORS), 1_000, [50, 100], None, now, offset,
    )  # fmt: skip
    kinds = ["limit", "limit", "msisdn", "zone", "anchor", "start", "end", "nothing"]
    kind = draw.choice(kinds) if before else "nothing"
    change: dict[str, Any] = {
        "limit": {
            "limit": draw.choice([200, 500, 1_000, 4_000]),
            "thresholds": draw.choice([[50, 100], [80, 90, 100]]),
        },
        "msisdn": {"msisdn": f"48{draw.randint(0, number)}"},
        "zone": {"zone": draw.choice(ZONES)},
        "anchor": {"anchor": draw.choice(ANCHORS)},
        "start": {"start": start},
        "end": {"end": None if base.end else now + dt.timedelta(hours=draw.randint(-2_000, 900))},
    }.get(kind, {})
    effective = draw.choice([None, None, now + dt.timedelta(hours=draw.randint(-3_000, 900))])
    return Message(**{**vars(base), **change, "effective": effective, "received": now, "offset": offset})


def _years_late(now: dt.datetime, offset: int) -> Message:
    """An agreement that comes years late, in the zone whose data have changed."""
    start = SEAM - dt.timedelta(days=600)
    return Message("late", "490", start, start, None, "Europe/Warsaw", 1, 1_000, [50, 100], None, now, offset)


def _record(draw: random.Random, id_: str, agreements: int, now: dt.datetime) -> Record:
    late = draw.choice([0, 0, 0, 5, 30, 3_000])
    at = now - dt.timedelta(hours=draw.randint(0, HOURS // 60) + draw.randint(0, late), seconds=draw.randint(0, 3_599))
    return Record(id_, f"48{draw.randint(0, agreements // 2)}", at, draw.randint(0, 700))


def _years_ago(draw: random.Random, id_: str) -> Record:
    """A record of the agreement that comes years late, mostly within the hours that the changed data have moved."""
    minutes = draw.choice([-30, -30, 30, draw.randint(-500_000, 20_000)])
    return Record(id_, "490", SEAM + dt.timedelta(minutes=minutes), draw.randint(0, 300))
