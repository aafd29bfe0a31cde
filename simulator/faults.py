"""Faults as real senders make them: each turns a valid message into an invalid one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_TEN_DAYS_S = 10 * 86_400
_Edit = Callable[[dict[str, Any]], object]
Fault = Callable[[bytes], bytes | None]


def _edit(change: _Edit) -> Fault:
    def with_change(value: bytes) -> bytes:
        fields = json.loads(value)
        change(fields)
        return json.dumps(fields).encode()

    return with_change


def _faults_in(measure: str, text: str) -> dict[str, Fault]:
    """Faults that every feed can have, made in the field ``measure`` (a number) and the field ``text``."""
    return {
        "tombstone": lambda _: None,
        "cut short": lambda value: value[: len(value) // 2],
        "two records in one": lambda value: value + value,
        "not UTF-8": lambda value: value.replace(f'"{text}":"'.encode(), f'"{text}":"'.encode() + b"\xff\xfe"),
        "missing field": _edit(lambda fields: fields.pop(text)),
        "number as text": _edit(lambda fields: fields.update({measure: str(fields[measure])})),
        "text as number": _edit(lambda fields: fields.update({text: 17})),
        "fractional bytes": _edit(lambda fields: fields.update({measure: fields[measure] + 0.5})),
        "negative bytes": _edit(lambda fields: fields.update({measure: -fields[measure]})),
        "over-long text": _edit(lambda fields: fields.update({text: "A" * 5_000})),
        "NUL in text": _edit(lambda fields: fields.update({text: "A\u0000B"})),
    }


DEVICES: Mapping[str, Fault] = {
    **_faults_in("bytes", "app"),
    "long ago": _edit(lambda fields: fields.update(timestamp=123_456_789)),
    "in the future": _edit(lambda fields: fields.update(timestamp=fields["timestamp"] + 400 * _TEN_DAYS_S)),
}

DATA_RECORDS: Mapping[str, Fault] = {
    **_faults_in("recordedBytes", "id"),
    "not an MSISDN": _edit(lambda fields: fields.update(msisdn="+48 917 846 822")),
    "no such day": _edit(lambda fields: fields.update(recordedAt="2020-02-30T00:00:00+01:00[Europe/Warsaw]")),
    "no offset": _edit(lambda fields: fields.update(recordedAt=fields["recordedAt"][:19])),
    "unknown zone": _edit(lambda fields: fields.update(recordedAt=fields["recordedAt"][:25] + "[Europe/Nowhere]")),
}

AGREEMENTS: Mapping[str, Fault] = {
    **_faults_in("maxBytesInBillingPeriod", "billingPeriodTimeZone"),
    "unknown zone": _edit(lambda fields: fields.update(billingPeriodTimeZone="Europe/Nowhere")),
    "no such anchor day": _edit(lambda fields: fields.update(anchorDay=32)),
    "no such threshold": _edit(lambda fields: fields.update(thresholds=[0])),
}

BILLABLE_EVENTS: Mapping[str, Fault] = {
    **{name: fault for name, fault in _faults_in("timestamp", "customer").items() if name != "negative bytes"},
    "long ago": _edit(lambda fields: fields.update(timestamp=123_456_789)),
    "too many decimals": _edit(lambda fields: fields.update(amount="0.1234567")),
    "an exponent": _edit(lambda fields: fields.update(amount="1e3")),
    "a comma": _edit(lambda fields: fields.update(amount="199,99")),
    "too large an amount": _edit(lambda fields: fields.update(amount="1234567890123456")),
    "another type": _edit(lambda fields: fields.update(type="FAX")),
}
