"""Builders of messages: each makes a valid message of a feed as JSON, with the changes that a test is about."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

NOW_S = 1_763_720_000
DEVICE: dict[str, Any] = {
    "bytes": 9082, "timestamp": NOW_S, "app": "SKYPE", "id": "00000000-0000-0000-0000-000000000001",
    "antenna_id": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip
DATA_RECORD: dict[str, Any] = {
    "id": "8aae90a1-c2e7-33e5-9fab-f8f3e1900906",
    "internalId": "i-1",
    "msisdn": "48917846822",
    "recordedAt": "2020-01-02T00:00:00+01:00[Europe/Warsaw]",
    "recordedBytes": 825012938,
}
AGREEMENT: dict[str, Any] = {
    "id": "0b12c601-9287-3f5c-a78c-df508fe0f889",
    "msisdn": "48917846822",
    "signedAt": "2019-12-20T00:00:00+01:00[Europe/Warsaw]",
    "serviceStartAt": "2020-01-01T00:00:00+01:00[Europe/Warsaw]",
    "billingPeriodTimeZone": "Europe/Warsaw",
    "maxBytesInBillingPeriod": 5368709120,
}

BILLABLE_EVENT: dict[str, Any] = {"timestamp": NOW_S, "customer": "Charlie", "amount": "199.99", "type": "CALL"}


def device(**changes: Any) -> bytes:
    """A message of ``devices`` as compact JSON; a field that is changed to None is left out."""
    fields = {name: value for name, value in (DEVICE | changes).items() if value is not None}
    return json.dumps(fields, separators=(",", ":")).encode()


def data_record(**changes: Any) -> bytes:
    """A message of ``data-records``; a field that is changed to ``...`` is left out."""
    return _document(DATA_RECORD, changes)


def agreement_document(**changes: Any) -> bytes:
    """A message of ``agreements``; a field that is changed to ``...`` is left out."""
    return _document(AGREEMENT, changes)


def game_event(**changes: Any) -> bytes:
    """A message of ``game-events``; a field that is changed to ``...`` is left out."""
    return _document({"event_type": "purchase_sword", "timestamp": NOW_S, "Host": "localhost:5000"}, changes)


def billable_event(**changes: Any) -> bytes:
    """A message of ``billable-events``; a field that is changed to ``...`` is left out."""
    return _document(BILLABLE_EVENT, changes)


def messages(*values: bytes | None, partition: int = 1) -> pa.Table:
    """Messages as Spark's Kafka source gives them to executors, from offset 0, all received at ``NOW_S``.

    Rows of partition, offset, value and timestamp.
    """
    count = len(values)
    return pa.table(
        {
            "partition": pa.array([partition] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "value": pa.array(values, pa.binary()),
            "timestamp": pa.array([NOW_S * 1_000_000] * count, pa.timestamp("us", "UTC")),
        }
    )


def _document(good: dict[str, Any], changes: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in (good | changes).items() if value is not ...}).encode()
