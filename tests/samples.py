"""Messages that must be accepted, and messages that must be refused with the reason why."""

from __future__ import annotations

import datetime as dt
import json

from bytemeter.feeds import BILLABLE_EVENTS, DATA_RECORDS, DEVICES, GAME_EVENTS
from tests.messages import DEVICE, NOW_S, agreement_document, billable_event, data_record, device, game_event

# When the samples of data records are judged.
PLANS_NOW_S = int(dt.datetime(2020, 6, 1, tzinfo=dt.UTC).timestamp())
NO_INSTANT = "recordedAt is not a zoned instant"

ACCEPTED_DEVICES: dict[str, bytes] = {
    "compact": device(),
    "with event id": device(event_id="e-1"),
    "not in the schema's order": json.dumps(dict(reversed(DEVICE.items())), separators=(",", ":")).encode(),
    "a field twice": device().replace(b'{"', b'{"app":"MAPS","'),
    "most digits": device(id="u" + "9" * 30),
    "spaces after colons": json.dumps(DEVICE).encode(),
    "indented": json.dumps(DEVICE, indent=2).encode(),
    "an unknown field": device(model="X"),
    "an unknown nested field": json.dumps({**DEVICE, "radio": {"cell": 17, "app": "x"}}).encode(),
    "a brace in a text": device(app="A}B"),
    "an escaped text": device(app='A"B\\C'),
    "other scripts": device(app="微信"),
    "trailing newline": device() + b"\n",
    "event id null": json.dumps({**DEVICE, "event_id": None}).encode(),
    "zero bytes": device(bytes=0),
    "most bytes": device(bytes=2**40),
    "digits as text": device(app="17"),
    "the word true as text": device(app="true"),
    "longest text": device(app="A" * 512),
    "first instant of 2000": device(timestamp=946_684_800),
    "a day ahead": device(timestamp=NOW_S + 86_400),
}

REFUSED_DEVICES: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "tombstone"),
    "empty": (b"", "not JSON"),
    "cut short": (device()[:-10], "not JSON"),
    "two records": (device() + device(), "not JSON"),
    "a record and rubbish": (device() + b" rubbish", "not JSON"),
    "closes a wrapping array": (device() + b"],[" + device(), "not JSON"),
    "closes a wrapping object": (device() + b'},"more":{' + device()[1:], "not JSON"),
    "single quotes": (device().replace(b'"', b"'"), "not JSON"),
    "very deep": (b"[" * 5_000 + b"]" * 5_000, "not JSON"),
    "an array": (b"[" + device() + b"]", "not a JSON object"),
    "a number": (b"17", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "not UTF-8": (device().replace(b"SKYPE", b"SK\xff\xfe"), "not UTF-8"),
    "missing bytes": (device(bytes=None), "missing bytes"),
    "missing app": (device(app=None), "missing app"),
    "null id": (json.dumps({**DEVICE, "id": None}).encode(), "missing id"),
    "text as bytes": (device(bytes="9082"), "bytes is not a whole number"),
    "boolean as bytes": (device(bytes=True), "bytes is not a whole number"),
    "object as bytes": (device(bytes={}), "bytes is not a whole number"),
    "fractional bytes": (device(bytes=1.5), "fractional or too large bytes"),
    "exponent": (device().replace(b"9082", b"9e3"), "fractional or too large bytes"),
    "beyond 64 bits": (device(bytes=2**70), "fractional or too large bytes"),
    "number as app": (device(app=17), "app is not a text"),
    "boolean as app": (device(app=True), "app is not a text"),
    "half a character": (device(app="X").replace(b"X", b"\\ud800"), "half a character in app"),
    "NaN": (device().replace(b"9082", b"NaN"), "not JSON"),
    "thousands of digits": (device().replace(b"9082", b"9" * 5_000), "fractional or too large bytes"),
    "array as antenna": (device(antenna_id=["a"]), "antenna_id is not a text"),
    "number as event id": (device(event_id=5), "event_id is not a text"),
    "number as event id, and another": (device(event_id=5, app="5"), "event_id is not a text"),
    "empty app": (device(app=""), "empty app"),
    "empty event id": (device(event_id=""), "empty event_id"),
    "NUL": (device(app="A\0B"), "NUL in app"),
    "over-long": (device(app="A" * (512 + 1)), "app over 512 characters"),
    "negative bytes": (device(bytes=-1), "negative bytes"),
    "too many bytes": (device(bytes=2**40 + 1), "bytes over 1 TiB"),
    "before 2000": (device(timestamp=946_684_799), "timestamp before 2000"),
    "milliseconds": (device(timestamp=NOW_S * 1000), "timestamp after 2200"),
    "most that 64 bits hold as timestamp": (device(timestamp=2**63 - 1), "timestamp after 2200"),
    "least that 64 bits hold as timestamp": (device(timestamp=-(2**63)), "timestamp before 2000"),
    "fractional timestamp": (device(timestamp=NOW_S + 0.5), "fractional or too large timestamp"),
    "over a day ahead": (device(timestamp=NOW_S + 86_401), DEVICES.clock_reason),
}

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
    "no id": (data_record(id=...), "missing id"),
    "empty id": (data_record(id=""), "empty id"),
    "null number": (data_record(msisdn=None), "missing msisdn"),
    "empty number": (data_record(msisdn=""), "empty msisdn"),
    "number with a plus": (data_record(msisdn="+48917846822"), "msisdn is not 1 to 15 digits"),
    "number with letters": (data_record(msisdn="48917B46822"), "msisdn is not 1 to 15 digits"),
    "long number": (data_record(msisdn="1" * 16), "msisdn is not 1 to 15 digits"),
    "number as a number": (data_record(msisdn=48917846822), "msisdn is not a text"),
    "negative": (data_record(recordedBytes=-1), "negative recordedBytes"),
    "fractional": (data_record(recordedBytes=0.5), "fractional or too large recordedBytes"),
    "too many": (data_record(recordedBytes=2**40 + 1), "recordedBytes over 1 TiB"),
    "no offset": (data_record(recordedAt="2020-01-02T00:00:00"), NO_INSTANT),
    "no offset but a zone": (data_record(recordedAt="2020-01-02T00:00:00[Europe/Warsaw]"), NO_INSTANT),
    "only a date": (data_record(recordedAt="2020-01-02"), NO_INSTANT),
    "words": (data_record(recordedAt="yesterday"), NO_INSTANT),
    "no such day": (data_record(recordedAt="2020-02-30T00:00:00Z"), NO_INSTANT),
    "no such month": (data_record(recordedAt="2020-13-01T00:00:00Z"), NO_INSTANT),
    "no such hour": (data_record(recordedAt="2020-01-02T24:00:00Z"), NO_INSTANT),
    "no such second": (data_record(recordedAt="2020-01-02T00:00:60Z"), NO_INSTANT),
    "no such offset": (data_record(recordedAt="2020-01-02T00:00:00+19:00"), NO_INSTANT),
    "a blank": (data_record(recordedAt="2020-01-02 00:00:00Z"), NO_INSTANT),
    "epoch seconds": (data_record(recordedAt=1577919600), "recordedAt is not a text"),
    "unknown zone": (data_record(recordedAt="2020-01-02T00:00:00+01:00[Europe/Nowhere]"), "unknown zone in recordedAt"),
    "before 2000": (data_record(recordedAt="1999-12-31T23:59:59Z"), "recordedAt before 2000"),
    "after 2200": (data_record(recordedAt="2200-01-01T00:00:00Z"), "recordedAt after 2200"),
    "over a day ahead": (data_record(recordedAt="2020-06-02T00:00:01Z"), DATA_RECORDS.clock_reason),
    "empty internal id": (data_record(internalId=""), "empty internalId"),
}

ACCEPTED_AGREEMENTS: dict[str, bytes] = {
    "as in the sample": agreement_document(),
    "with thresholds": agreement_document(thresholds=[50, 90, 100]),
    "one threshold": agreement_document(thresholds=[1]),
    "beyond the plan": agreement_document(thresholds=[1000]),
    "no thresholds": agreement_document(thresholds=[]),
    "null thresholds": agreement_document(thresholds=None),
    "last anchor day": agreement_document(anchorDay=31),
    "null anchor day": agreement_document(anchorDay=None),
    "nothing included": agreement_document(maxBytesInBillingPeriod=0),
    "old": agreement_document(signedAt="1985-05-01T00:00:00Z"),
    "starts in the future": agreement_document(serviceStartAt="2030-01-01T00:00:00+01:00[Europe/Warsaw]"),
    "effective in the past": agreement_document(effectiveFrom="2020-01-05T00:00:00+01:00[Europe/Warsaw]"),
    "null effectiveFrom": agreement_document(effectiveFrom=None),
    "cancelled": agreement_document(serviceEndAt="2020-03-01T00:00:00+01:00[Europe/Warsaw]"),
    "cancelled before it starts": agreement_document(serviceEndAt="2019-12-01T00:00:00Z"),
    "null serviceEndAt": agreement_document(serviceEndAt=None),
}

REFUSED_AGREEMENTS: dict[str, tuple[bytes | None, str]] = {
    "no id": (agreement_document(id=...), "missing id"),
    "empty number": (agreement_document(msisdn=""), "empty msisdn"),
    "no number": (agreement_document(msisdn="private"), "msisdn is not 1 to 15 digits"),
    "unknown zone": (agreement_document(billingPeriodTimeZone="Europe/Nowhere"), "unknown billingPeriodTimeZone"),
    "offset as zone": (agreement_document(billingPeriodTimeZone="+01:00"), "unknown billingPeriodTimeZone"),
    "malformed start": (agreement_document(serviceStartAt="2020-01-01"), "serviceStartAt is not a zoned instant"),
    "impossible start": (
        agreement_document(serviceStartAt="2021-02-29T00:00:00Z"),
        "serviceStartAt is not a zoned instant",
    ),
    "malformed signing": (agreement_document(signedAt="20191220"), "signedAt is not a zoned instant"),
    "malformed effectiveFrom": (
        agreement_document(effectiveFrom="2020-01-05"),
        "effectiveFrom is not a zoned instant",
    ),
    "effective in an unknown zone": (
        agreement_document(effectiveFrom="2020-01-05T00:00:00+01:00[Europe/Nowhere]"),
        "unknown zone in effectiveFrom",
    ),
    "malformed end": (agreement_document(serviceEndAt="never"), "serviceEndAt is not a zoned instant"),
    "negative": (agreement_document(maxBytesInBillingPeriod=-1), "negative maxBytesInBillingPeriod"),
    "fractional": (
        agreement_document(maxBytesInBillingPeriod=1.5),
        "fractional or too large maxBytesInBillingPeriod",
    ),
    "enormous": (agreement_document(maxBytesInBillingPeriod=2**53 + 1), "maxBytesInBillingPeriod over 8 PiB"),
    "threshold 0": (agreement_document(thresholds=[0, 50]), "threshold not of 1 to 1000 percent"),
    "threshold 1001": (agreement_document(thresholds=[50, 1001]), "threshold not of 1 to 1000 percent"),
    "null threshold": (agreement_document(thresholds=[50, None]), "threshold not of 1 to 1000 percent"),
    "fractional threshold": (agreement_document(thresholds=[50.5]), "thresholds is not a list of whole numbers"),
    "threshold as text": (agreement_document(thresholds=["50"]), "thresholds is not a list of whole numbers"),
    "one threshold": (agreement_document(thresholds=50), "thresholds is not a list of whole numbers"),
    "many thresholds": (agreement_document(thresholds=list(range(1, 22))), "over 20 thresholds"),
    "anchor day 0": (agreement_document(anchorDay=0), "anchorDay not of 1 to 31"),
    "anchor day 32": (agreement_document(anchorDay=32), "anchorDay not of 1 to 31"),
    "anchor day as text": (agreement_document(anchorDay="1"), "anchorDay is not a whole number"),
}

ACCEPTED_GAME_EVENTS: dict[str, bytes] = {
    "with a header": game_event(),
    "with an id": game_event(event_id="e-1"),
    "with many long headers": game_event(**{f"X-{n}": "x" * 2_000 for n in range(50)}),
    "an empty header": game_event(Accept=""),
    "a header that is like a field": game_event(Timestamp="now", Event_Type="other"),
    "a day ahead": game_event(timestamp=NOW_S + 86_400),
}

REFUSED_GAME_EVENTS: dict[str, tuple[bytes | None, str]] = {
    "no type": (game_event(event_type=...), "missing event_type"),
    "empty type": (game_event(event_type=""), "empty event_type"),
    "number as type": (game_event(event_type=7), "event_type is not a text"),
    "no time": (game_event(timestamp=...), "missing timestamp"),
    "milliseconds": (game_event(timestamp=NOW_S * 1_000), "timestamp after 2200"),
    "before 2000": (game_event(timestamp=0), "timestamp before 2000"),
    "over a day ahead": (game_event(timestamp=NOW_S + 86_401), GAME_EVENTS.clock_reason),
    "number as event id": (game_event(event_id=5), "event_id is not a text"),
}

# With the amount that each comes to.
ACCEPTED_BILLABLE_EVENTS: dict[str, tuple[bytes, str]] = {
    "as in the sample": (billable_event(), "199.99"),
    "with an id": (billable_event(event_id="e-1"), "199.99"),
    "a number": (billable_event().replace(b'"199.99"', b"199.99"), "199.99"),
    "a whole number": (billable_event(amount=200), "200"),
    "a number that no float has": (
        billable_event().replace(b'"199.99"', b"999999999999999.999999"),
        "999999999999999.999999",
    ),
    "the largest text": (billable_event(amount="-999999999999999.999999"), "-999999999999999.999999"),
    "the least": (billable_event(amount="0.000001"), "0.000001"),
    "nothing": (billable_event(amount="0"), "0"),
    "a credit": (billable_event(amount="-0.50"), "-0.5"),
    "another type": (billable_event(type="MISC"), "199.99"),
    "a name with separators": (billable_event(customer="Ann/e, 100%"), "199.99"),
    "a day ahead": (billable_event(timestamp=NOW_S + 86_400), "199.99"),
}

REFUSED_BILLABLE_EVENTS: dict[str, tuple[bytes | None, str]] = {
    "no amount": (billable_event(amount=...), "missing amount"),
    "an exponent": (billable_event(amount="1e3"), "amount is not a decimal number"),
    "a number with an exponent": (billable_event().replace(b'"199.99"', b"1e3"), "amount is not a decimal number"),
    "a comma": (billable_event(amount="199,99"), "amount is not a decimal number"),
    "a plus": (billable_event(amount="+1"), "amount is not a decimal number"),
    "a currency": (billable_event(amount="199.99 EUR"), "amount is not a decimal number"),
    "no number": (billable_event(amount="NaN"), "amount is not a decimal number"),
    "seven decimals": (billable_event(amount="0.1234567"), "amount over 6 decimals"),
    "sixteen digits": (billable_event(amount="1234567890123456"), "amount over 15 digits"),
    "a boolean": (billable_event(amount=True), "amount is not a decimal number"),
    "no customer": (billable_event(customer=...), "missing customer"),
    "empty customer": (billable_event(customer=""), "empty customer"),
    "no type": (billable_event(type=...), "missing type"),
    "another type": (billable_event(type="FAX"), "type is none of MESSAGE, DATA, CALL, PACK, MISC"),
    "a type in small letters": (billable_event(type="call"), "type is none of MESSAGE, DATA, CALL, PACK, MISC"),
    "milliseconds": (billable_event(timestamp=NOW_S * 1_000), "timestamp after 2200"),
    "over a day ahead": (billable_event(timestamp=NOW_S + 86_401), BILLABLE_EVENTS.clock_reason),
    "number as event id": (billable_event(event_id=5), "event_id is not a text"),
}
