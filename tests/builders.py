"""Builders of data plans: agreements and data records as messages, agreements as objects, instants."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from bytemeter.plans.agreements import Agreement
from tests.messages import agreement_document, data_record


def agreement(id_: str = "a", **changes: Any) -> bytes:
    """A message: an agreement of the MSISDN 48917846822 in Warsaw since 2020, of 1000 bytes a month."""
    return agreement_document(**{"id": id_, "maxBytesInBillingPeriod": 1000, **changes})


def record(id_: str, size: int, at: str = "2020-01-10T12:00:00Z", **changes: Any) -> bytes:
    """A message: a data record of the MSISDN 48917846822."""
    return data_record(**{"id": id_, "internalId": f"i-{id_}", "recordedAt": at, "recordedBytes": size, **changes})


def utc(text: str) -> dt.datetime:
    """An instant in UTC, for example ``2020-01-20``."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def stored_agreement(id_: str = "a", msisdn: str = "48", *, start: dt.datetime, **changes: Any) -> Agreement:
    """An agreement in UTC, of 1000 bytes a month, signed a day before it starts."""
    signed = start - dt.timedelta(days=1)
    return replace(Agreement(id_, msisdn, signed, start, "UTC", 1000), **changes)
