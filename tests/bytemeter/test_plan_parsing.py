"""Data records and agreements: what is accepted, what is refused and why."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.parsing import REFUSED_BY_CLOCK
from simulator import faults
from tests.bytemeter.test_parsing import parsed

NOW_S = int(dt.datetime(2020, 6, 1, tzinfo=dt.UTC).timestamp())
RECORD: dict[str, Any] = {
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
_MICROSECOND = dt.timedelta(microseconds=1)
NO_INSTANT = "recordedAt is not a zoned instant"


def text(good: dict[str, Any], **changes: Any) -> bytes:
    fields = {name: value for name, value in (good | changes).items() if value is not ...}
    return json.dumps(fields).encode()


def record(**changes: Any) -> bytes:
    return text(RECORD, **changes)


def agreement(**changes: Any) -> bytes:
    return text(AGREEMENT, **changes)


ACCEPTED_INSTANTS = {
    "2020-01-02T00:00:00+01:00[Europe/Warsaw]": "2020-01-01T23:00:00",
    "2020-01-02T00:00:00+01:00": "2020-01-01T23:00:00",
    "2020-01-02T00:00+01:00[Europe/Warsaw]": "2020-01-01T23:00:00",
    "2020-01-02T00:00Z": "2020-01-02T00:00:00",
    "2020-01-02T00:00:01.5Z[UTC]": "2020-01-02T00:00:01.500000",
    "2020-01-02T00:00:00.123456789-03:30[America/St_Johns]": "2020-01-02T03:30:00.123456",
    "2020-02-29T23:59:59+14:00[Pacific/Kiritimati]": "2020-02-29T09:59:59",
    "2000-01-01T00:00:00Z": "2000-01-01T00:00:00",
    "2020-06-02T00:00:00Z": "2020-06-02T00:00:00",
}

REFUSED_RECORDS: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "tombstone"),
    "no id": (record(id=...), "missing id"),
    "empty id": (record(id=""), "empty id"),
    "null number": (record(msisdn=None), "missing msisdn"),
    "empty number": (record(msisdn=""), "empty msisdn"),
    "number with a plus": (record(msisdn="+48917846822"), "msisdn is not 1 to 15 digits"),
    "number with letters": (record(msisdn="48917B46822"), "msisdn is not 1 to 15 digits"),
    "long number": (record(msisdn="1" * 16), "msisdn is not 1 to 15 digits"),
    "number as a number": (record(msisdn=48917846822), "msisdn is not a text"),
    "negative": (record(recordedBytes=-1), "negative recordedBytes"),
    "fractional": (record(recordedBytes=0.5), "fractional or too large recordedBytes"),
    "too many": (record(recordedBytes=2**40 + 1), "recordedBytes over 1 TiB"),
    "no offset": (record(recordedAt="2020-01-02T00:00:00"), NO_INSTANT),
    "no offset but a zone": (record(recordedAt="2020-01-02T00:00:00[Europe/Warsaw]"), NO_INSTANT),
    "only a date": (record(recordedAt="2020-01-02"), NO_INSTANT),
    "words": (record(recordedAt="yesterday"), NO_INSTANT),
    "no such day": (record(recordedAt="2020-02-30T00:00:00Z"), NO_INSTANT),
    "no such month": (record(recordedAt="2020-13-01T00:00:00Z"), NO_INSTANT),
    "no such hour": (record(recordedAt="2020-01-02T24:00:00Z"), NO_INSTANT),
    "no such second": (record(recordedAt="2020-01-02T00:00:60Z"), NO_INSTANT),
    "no such offset": (record(recordedAt="2020-01-02T00:00:00+19:00"), NO_INSTANT),
    "a blank": (record(recordedAt="2020-01-02 00:00:00Z"), NO_INSTANT),
    "epoch seconds": (record(recordedAt=1577919600), "recordedAt is not a text"),
    "unknown zone": (record(recordedAt="2020-01-02T00:00:00+01:00[Europe/Nowhere]"), "unknown zone in recordedAt"),
    "before 2000": (record(recordedAt="1999-12-31T23:59:59Z"), "recordedAt before 2000"),
    "after 2200": (record(recordedAt="2200-01-01T00:00:00Z"), "recordedAt after 2200"),
    "over a day ahead": (record(recordedAt="2020-06-02T00:00:01Z"), REFUSED_BY_CLOCK),
    "empty internal id": (record(internalId=""), "empty internalId"),
}

ACCEPTED_AGREEMENTS: dict[str, bytes] = {
    "as in the sample": agreement(),
    "with thresholds": agreement(thresholds=[50, 90, 100]),
    "one threshold": agreement(thresholds=[1]),
    "beyond the plan": agreement(thresholds=[1000]),
    "no thresholds": agreement(thresholds=[]),
    "null thresholds": agreement(thresholds=None),
    "last anchor day": agreement(anchorDay=31),
    "null anchor day": agreement(anchorDay=None),
    "nothing included": agreement(maxBytesInBillingPeriod=0),
    "old": agreement(signedAt="1985-05-01T00:00:00Z"),
    "starts in the future": agreement(serviceStartAt="2030-01-01T00:00:00+01:00[Europe/Warsaw]"),
}

REFUSED_AGREEMENTS: dict[str, tuple[bytes | None, str]] = {
    "no id": (agreement(id=...), "missing id"),
    "empty number": (agreement(msisdn=""), "empty msisdn"),
    "no number": (agreement(msisdn="private"), "msisdn is not 1 to 15 digits"),
    "unknown zone": (agreement(billingPeriodTimeZone="Europe/Nowhere"), "unknown billingPeriodTimeZone"),
    "offset as zone": (agreement(billingPeriodTimeZone="+01:00"), "unknown billingPeriodTimeZone"),
    "malformed start": (agreement(serviceStartAt="2020-01-01"), "serviceStartAt is not a zoned instant"),
    "impossible start": (agreement(serviceStartAt="2021-02-29T00:00:00Z"), "serviceStartAt is not a zoned instant"),
    "malformed signing": (agreement(signedAt="20191220"), "signedAt is not a zoned instant"),
    "negative": (agreement(maxBytesInBillingPeriod=-1), "negative maxBytesInBillingPeriod"),
    "fractional": (
        agreement(maxBytesInBillingPeriod=1.5),
        "fractional or too large maxBytesInBillingPeriod",
    ),
    "enormous": (agreement(maxBytesInBillingPeriod=2**53 + 1), "maxBytesInBillingPeriod over 8 PiB"),
    "threshold 0": (agreement(thresholds=[0, 50]), "threshold not of 1 to 1000 percent"),
    "threshold 1001": (agreement(thresholds=[50, 1001]), "threshold not of 1 to 1000 percent"),
    "null threshold": (agreement(thresholds=[50, None]), "threshold not of 1 to 1000 percent"),
    "fractional threshold": (agreement(thresholds=[50.5]), "thresholds is not a list of whole numbers"),
    "threshold as text": (agreement(thresholds=["50"]), "thresholds is not a list of whole numbers"),
    "one threshold": (agreement(thresholds=50), "thresholds is not a list of whole numbers"),
    "many thresholds": (agreement(thresholds=list(range(1, 22))), "over 20 thresholds"),
    "anchor day 0": (agreement(anchorDay=0), "anchorDay not of 1 to 31"),
    "anchor day 32": (agreement(anchorDay=32), "anchorDay not of 1 to 31"),
    "anchor day as text": (agreement(anchorDay="1"), "anchorDay is not a whole number"),
}


def test_instants_are_read_with_and_without_zone_and_seconds() -> None:
    rows = parsed(DATA_RECORDS, [record(recordedAt=told) for told in ACCEPTED_INSTANTS], now_s=NOW_S)
    assert [row.reason for row in rows] == [None] * len(rows)
    epoch = dt.datetime(1970, 1, 1)  # noqa: DTZ001
    expected = [(dt.datetime.fromisoformat(at) - epoch) // _MICROSECOND for at in ACCEPTED_INSTANTS.values()]
    assert [row.event_us for row in rows] == expected


def test_bad_records_are_refused_with_a_reason() -> None:
    rows = parsed(DATA_RECORDS, [value for value, _ in REFUSED_RECORDS.values()], now_s=NOW_S)
    reasons = {name: row.reason for name, row in zip(REFUSED_RECORDS, rows, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED_RECORDS.items()}


def test_an_internal_id_may_be_missing() -> None:
    (row,) = parsed(DATA_RECORDS, [record(internalId=...)], now_s=NOW_S)
    assert (row.reason, row.internalId) == (None, None)


def test_agreements_are_accepted_with_and_without_thresholds_and_anchor_day() -> None:
    rows = parsed(AGREEMENTS, list(ACCEPTED_AGREEMENTS.values()), now_s=None)
    for name, row in zip(ACCEPTED_AGREEMENTS, rows, strict=True):
        told = json.loads(ACCEPTED_AGREEMENTS[name])
        assert row.reason is None, f"{name}: {row.reason}"
        assert {field: getattr(row, field) for field in AGREEMENTS.schema.names} == {
            field: told.get(field) for field in AGREEMENTS.schema.names
        }, name


def test_bad_agreements_are_refused_with_a_reason() -> None:
    rows = parsed(AGREEMENTS, [value for value, _ in REFUSED_AGREEMENTS.values()], now_s=None)
    reasons = {name: row.reason for name, row in zip(REFUSED_AGREEMENTS, rows, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED_AGREEMENTS.items()}


def test_each_fault_of_the_simulator_is_refused() -> None:
    for feed, found in ((DATA_RECORDS, faults.DATA_RECORDS), (AGREEMENTS, faults.AGREEMENTS)):
        good = json.dumps(RECORD if feed is DATA_RECORDS else AGREEMENT, separators=(",", ":")).encode()
        rows = parsed(feed, [fault(good) for fault in found.values()], now_s=NOW_S)
        assert [name for name, row in zip(found, rows, strict=True) if row.reason is None] == []
