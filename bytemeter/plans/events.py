"""Threshold events: what happened to an agreement in a billing period, as an id and as a message."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

TOPIC = "threshold-events"

REACHED = "DATA_PLAN_THRESHOLD_REACHED"
EXCEEDED = "DATA_PLAN_EXCEEDED"
CORRECTED = "DATA_PLAN_CORRECTED"
CLOSED = "BILLING_PERIOD_CLOSED"
AMENDED = "BILLING_PERIOD_AMENDED"

_WHOLE = 100
_IDS = uuid.UUID("5d3c1e0e-7c5b-4f43-9d0e-1b7a3f5f6c11")


def type_of_threshold(percent: int) -> str:
    """The type of the event that says that so many percent of the limit were reached."""
    return EXCEEDED if percent == _WHOLE else REACHED


@dataclass(frozen=True)
class ThresholdEvent:
    """One event, and all that its message tells.

    Attributes:
        period_start: identifies the billing period of the agreement.
        type: one of the five types.
        percent, threshold_bytes: the threshold, None unless one was reached.
        total_bytes: total of the period at the crossing, or at the closing, amendment or correction.
        latest_recorded_at, latest_record: instant and internal id of the record that crossed, else of the latest one;
            None if the period has no record.
        ordinal: counts the amendments and corrections of a period, 0 of other events.
    """

    agreement_id: str
    period_start: dt.datetime
    year: int
    month: int
    zone: str
    limit: int
    type: str
    percent: int | None
    threshold_bytes: int | None
    total_bytes: int
    latest_recorded_at: dt.datetime | None
    latest_record: str | None
    ordinal: int = 0

    @cached_property
    def event_id(self) -> str:
        """The same for the same agreement, period, type, threshold (in percent and in bytes) and ordinal."""
        start = self.period_start.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{self.agreement_id}|{start}|{self.type}|{self.percent}|{self.threshold_bytes}|{self.ordinal}"
        return str(uuid.uuid5(_IDS, name))

    @property
    def payload(self) -> bytes:
        """The message as Kafka carries it: JSON, ``latestRecordedAt`` in the agreement's time zone."""
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


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
