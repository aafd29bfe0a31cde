"""Messages of data plans for the tests: written as the contract has them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

GIB = 2**30


def agreement(id_: str = "a", **changes: Any) -> bytes:
    """An agreement of the number 48917846822 in Warsaw since 2020, of 1000 bytes a month."""
    return json.dumps(
        {
            "id": id_,
            "msisdn": "48917846822",
            "signedAt": "2019-12-20T00:00:00+01:00[Europe/Warsaw]",
            "serviceStartAt": "2020-01-01T00:00:00+01:00[Europe/Warsaw]",
            "billingPeriodTimeZone": "Europe/Warsaw",
            "maxBytesInBillingPeriod": 1000,
            **changes,
        }
    ).encode()


def record(id_: str, size: int, at: str = "2020-01-10T12:00:00Z", msisdn: str = "48917846822", **more: Any) -> bytes:
    """A data record."""
    return json.dumps(
        {"id": id_, "internalId": f"i-{id_}", "msisdn": msisdn, "recordedAt": at, "recordedBytes": size, **more}
    ).encode()


def utc(text: str) -> dt.datetime:
    """An instant in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
