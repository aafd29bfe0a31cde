"""Messages into records: what is accepted, what is refused and why."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from bytemeter.feeds import DEVICES, Feed
from bytemeter.parsing import REFUSED_BY_CLOCK, parse
from bytemeter.parsing.single import MOST_CHARACTERS
from simulator.faults import DEVICES as FAULTS

NOW_S = 1_763_720_000
GOOD: dict[str, Any] = {
    "bytes": 9082, "timestamp": NOW_S, "app": "SKYPE", "id": "00000000-0000-0000-0000-000000000001",
    "antenna_id": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip


def text(**changes: Any) -> bytes:
    """A good record as compact JSON, with changes; None takes a field away."""
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return json.dumps(fields, separators=(",", ":")).encode()


ACCEPTED: dict[str, bytes] = {
    "compact": text(),
    "with event id": text(event_id="e-1"),
    "not in the schema's order": json.dumps(dict(reversed(GOOD.items())), separators=(",", ":")).encode(),
    "a field twice": text().replace(b'{"', b'{"app":"MAPS","'),
    "most digits": text(id="u" + "9" * 30),
    "spaces after colons": json.dumps(GOOD).encode(),
    "indented": json.dumps(GOOD, indent=2).encode(),
    "an unknown field": text(model="X"),
    "an unknown nested field": json.dumps({**GOOD, "radio": {"cell": 17, "app": "x"}}).encode(),
    "a brace in a text": text(app="A}B"),
    "an escaped text": text(app='A"B\\C'),
    "other scripts": text(app="微信"),
    "trailing newline": text() + b"\n",
    "event id null": json.dumps({**GOOD, "event_id": None}).encode(),
    "zero bytes": text(bytes=0),
    "most bytes": text(bytes=2**40),
    "digits as text": text(app="17"),
    "the word true as text": text(app="true"),
    "longest text": text(app="A" * MOST_CHARACTERS),
    "first instant of 2000": text(timestamp=946_684_800),
    "a day ahead": text(timestamp=NOW_S + 86_400),
}

REFUSED: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "tombstone"),
    "empty": (b"", "not JSON"),
    "cut short": (text()[:-10], "not JSON"),
    "two records": (text() + text(), "not JSON"),
    "a record and rubbish": (text() + b" rubbish", "not JSON"),
    "closes a wrapping array": (text() + b"],[" + text(), "not JSON"),
    "closes a wrapping object": (text() + b'},"more":{' + text()[1:], "not JSON"),
    "single quotes": (text().replace(b'"', b"'"), "not JSON"),
    "very deep": (b"[" * 5_000 + b"]" * 5_000, "not JSON"),
    "an array": (b"[" + text() + b"]", "not a JSON object"),
    "a number": (b"17", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "not UTF-8": (text().replace(b"SKYPE", b"SK\xff\xfe"), "not UTF-8"),
    "missing bytes": (text(bytes=None), "missing bytes"),
    "missing app": (text(app=None), "missing app"),
    "null id": (json.dumps({**GOOD, "id": None}).encode(), "missing id"),
    "text as bytes": (text(bytes="9082"), "bytes is not a whole number"),
    "boolean as bytes": (text(bytes=True), "bytes is not a whole number"),
    "object as bytes": (text(bytes={}), "bytes is not a whole number"),
    "fractional bytes": (text(bytes=1.5), "fractional or too large bytes"),
    "exponent": (text().replace(b"9082", b"9e3"), "fractional or too large bytes"),
    "beyond 64 bits": (text(bytes=2**70), "fractional or too large bytes"),
    "number as app": (text(app=17), "app is not a text"),
    "boolean as app": (text(app=True), "app is not a text"),
    "half a character": (text(app="X").replace(b"X", b"\\ud800"), "half a character in app"),
    "NaN": (text().replace(b"9082", b"NaN"), "not JSON"),
    "thousands of digits": (text().replace(b"9082", b"9" * 5_000), "not JSON"),
    "array as antenna": (text(antenna_id=["a"]), "antenna_id is not a text"),
    "number as event id": (text(event_id=5), "event_id is not a text"),
    "number as event id, and another": (text(event_id=5, app="5"), "event_id is not a text"),
    "empty app": (text(app=""), "empty app"),
    "empty event id": (text(event_id=""), "empty event_id"),
    "NUL": (text(app="A\0B"), "NUL in app"),
    "over-long": (text(app="A" * (MOST_CHARACTERS + 1)), f"app over {MOST_CHARACTERS} characters"),
    "negative bytes": (text(bytes=-1), "negative bytes"),
    "too many bytes": (text(bytes=2**40 + 1), "bytes over 1 TiB"),
    "before 2000": (text(timestamp=946_684_799), "timestamp before 2000"),
    "milliseconds": (text(timestamp=NOW_S * 1000), "timestamp after 2200"),
    "most that 64 bits hold as timestamp": (text(timestamp=2**63 - 1), "timestamp after 2200"),
    "least that 64 bits hold as timestamp": (text(timestamp=-(2**63)), "timestamp before 2000"),
    "fractional timestamp": (text(timestamp=NOW_S + 0.5), "fractional or too large timestamp"),
    "over a day ahead": (text(timestamp=NOW_S + 86_401), REFUSED_BY_CLOCK),
}


def parsed(feed: Feed, values: list[bytes | None], *, now_s: int | None = NOW_S) -> list[SimpleNamespace]:
    columns = {
        "partition": pa.array([0] * len(values), pa.int32()),
        "offset": pa.array(range(len(values))),
        "value": pa.array(values, pa.binary()),
    }
    rows = parse(feed, pa.table(columns), now_us=now_s and now_s * 1_000_000)
    assert rows.column("offset").to_pylist() == list(range(len(values)))
    return [SimpleNamespace(**row) for row in rows.to_pylist()]


def test_good_messages_are_accepted_with_their_fields() -> None:
    found = parsed(DEVICES, list(ACCEPTED.values()))
    for name, row in zip(ACCEPTED, found, strict=True):
        sent = json.loads(ACCEPTED[name])
        assert row.reason is None, f"{name}: {row.reason}"
        assert {key: getattr(row, key) for key in DEVICES.schema.names} == {
            key: sent.get(key) for key in DEVICES.schema.names
        }, name
        assert row.event_us == sent["timestamp"] * 1_000_000, name


def test_bad_messages_are_refused_with_a_reason_and_their_bytes() -> None:
    found = parsed(DEVICES, [value for value, _ in REFUSED.values()])
    reasons = {name: row.reason for name, row in zip(REFUSED, found, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED.items()}
    assert [row.value for row in found] == [value for value, _ in REFUSED.values()]


def test_without_a_clock_the_future_is_not_refused() -> None:
    (row,) = parsed(DEVICES, [text(timestamp=NOW_S + 90_000)], now_s=None)
    assert row.reason is None


def test_each_fault_of_the_simulator_is_refused() -> None:
    found = parsed(DEVICES, [fault(text()) for fault in FAULTS.values()])
    assert [name for name, row in zip(FAULTS, found, strict=True) if row.reason is None] == []
