"""Threshold events: what happened to an agreement in a billing period, with an id and as a Kafka message."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

TOPIC = "threshold-events"

REACHED = "DATA_PLAN_THRESHOLD_REACHED"
EXCEEDED = "DATA_PLAN_EXCEEDED"
CORRECTED = "DATA_PLAN_CORRECTED"
CLOSED = "BILLING_PERIOD_CLOSED"
AMENDED = "BILLING_PERIOD_AMENDED"

_WHOLE_LIMIT = 100
_NAMESPACE = uuid.UUID("5d3c1e0e-7c5b-4f43-9d0e-1b7a3f5f6c11")


class Crossing(NamedTuple):
    """The record that brought the running total of a billing period to a threshold.

    Attributes:
        total_bytes: the running total with this record.
        recorded_at, internal_id: of the record.
    """

    total_bytes: int
    recorded_at: dt.datetime
    internal_id: str


@dataclass(frozen=True)
class ThresholdEvent:
    """One event: the fields of its message.

    Attributes:
        agreement_id, period_start: identify the billing period.
        zone: the agreement's time zone.
        limit: bytes that the agreement includes per billing period.
        total_bytes: total of the period at the crossing, or at the closing, amendment or correction.
        latest_recorded_at, latest_record: instant and internal id of the record that crossed, else of the latest one;
            None if the period has no record.
        type: one of the five types.
        percent, threshold_bytes: the threshold, None unless one was reached.
        ordinal: counts the amendments and corrections of a period; 0 for other events.
        repetition: of an amendment or correction, how often an event has said the same before, and another one
            something else since.
    """

    agreement_id: str
    period_start: dt.datetime
    year: int
    month: int
    zone: str
    limit: int
    total_bytes: int
    latest_recorded_at: dt.datetime | None
    latest_record: str | None
    type: str
    percent: int | None = None
    threshold_bytes: int | None = None
    ordinal: int = 0
    repetition: int = 0

    @cached_property
    def event_id(self) -> str:
        """A UUID made of agreement, period, type and threshold; of an amendment or correction, of all that it says.

        So an event that is written again, by whichever layer, has the same id; and an amendment that says something
        else has another one, also where PostgreSQL was restored from a backup and records were counted again in other
        micro-batches.
        """
        start = self.period_start.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{self.agreement_id}|{start}|{self.type}|{self.percent}|{self.threshold_bytes}"
        if self.type in (AMENDED, CORRECTED):
            latest_at = self.latest_recorded_at.astimezone(dt.UTC).isoformat() if self.latest_recorded_at else None
            said = (self.total_bytes, latest_at, self.latest_record, self.zone, self.limit, self.repetition)
            return str(uuid.uuid5(_NAMESPACE, "|".join(map(str, (name, *said)))))
        return str(uuid.uuid5(_NAMESPACE, f"{name}|0"))

    @property
    def payload(self) -> bytes:
        """The value of the Kafka message: JSON, ``latestRecordedAt`` in the agreement's time zone."""
        latest = self.latest_recorded_at.astimezone(_zone(self.zone)) if self.latest_recorded_at else None
        message = {
            "eventId": self.event_id,
            "agreementId": self.agreement_id,
            "year": self.year,
            "month": self.month,
            "latestRecordedAt": latest.isoformat() if latest else None,
            "latestInternalRecordId": self.latest_record,
            "totalRecordedBytes": self.total_bytes,
            "billingPeriodTimeZone": self.zone,
            "maxBytesInBillingPeriod": self.limit,
            "thresholdPercent": self.percent,
            "thresholdBytes": self.threshold_bytes,
            "type": self.type,
        }
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def type_of_threshold(percent: int) -> str:
    """The type of the event for a threshold of so many percent of the limit."""
    return EXCEEDED if percent == _WHOLE_LIMIT else REACHED


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
