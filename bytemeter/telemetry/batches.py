"""What becomes of a message of ``telemetry.ingest``: a batch of events, or a single event.

Whatever is made is a function of the message, its position and the time at which Kafka took it: made again, it is byte
for byte the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

import pyarrow as pa

from bytemeter.telemetry import topics
from bytemeter.telemetry.deep import cut_deep_items
from bytemeter.telemetry.members import (
    Members,
    UnreadableError,
    items_of,
    json_of,
    members_of,
    number_of,
    object_of,
    raw,
    text_of,
)
from bytemeter.telemetry.outgoing import Outgoing, as_key, duplicate, failed, flagged, key_of
from bytemeter.telemetry.registration import answers_emptied

MOST_EVENT_BYTES = 1_048_576
# Of a batch. Of valid events fewer fit into it; what is stamped on one may be much more than ``{}``.
MOST_EVENTS = 50_000
SOURCE = "TelemetryExtractor"
DUPLICATE_FLAG = "extractor_duplicate"
_AUDIT_IDS = UUID("3b0a1a4e-6f5e-5d2c-9d42-1f6a7c0e8b11")
_YEAR_1_MS, _YEAR_9999_MS = -62_135_596_800_000, 253_402_300_799_999


@dataclass(frozen=True)
class Position:
    """Where a message stands, and when Kafka took it (microseconds since 1970)."""

    partition: int
    offset: int
    received_us: int


def envelopes(values: pa.BinaryArray) -> pa.BinaryArray:
    """See ``envelope``."""
    return pa.array([envelope(value) for value in values.to_pylist()], pa.binary())


def envelope(value: bytes | None) -> bytes | None:
    """A message whose member ``events`` says how many they are: 1 of a single event. One that is neither, as it is.

    So a batch is judged by its own members: one of its events that is nested too deep, or is not UTF-8, fails alone.
    """
    try:
        members, items = _opened(value or b"")
    except UnreadableError:
        return _without_list(value)
    if items is None and "eid" not in members:
        return value
    members["events"] = raw(1 if items is None else len(items))
    return json_of(members)


def sent_of(value: bytes, position: Position) -> Iterator[Outgoing]:
    """What is sent of a valid message that is no duplicate: its events, and the audit LOG of a batch.

    An event of over 1,048,576 bytes, or one that cannot be read, fails alone.
    """
    members, items = _opened(value)
    stamp = _Stamp.of(members, position)
    if items is None:
        yield from _sent_of_event(value, stamp)
        return
    sent = [outgoing for item in items for outgoing in _sent_of_event(item, stamp)]
    yield from sent
    fails = sum(outgoing.reason is not None for outgoing in sent)
    yield Outgoing((topics.LOG,), stamp.key, _audit_log(members, stamp, len(items), fails, position))


def repeated_batch(value: bytes, key: bytes | None) -> Outgoing:
    """A valid batch that was seen before, with its flag; its events keep their bytes, however deep they are nested."""
    try:
        return duplicate(value, DUPLICATE_FLAG, key)
    except UnreadableError:
        cut = cut_deep_items(value)
        if cut is None:
            raise
    flagged_ = duplicate(cut.value, DUPLICATE_FLAG, key)
    whole = flagged_.value or b""
    for text, item in cut.items.items():
        whole = whole.replace(text, item, 1)
    return flagged_._replace(value=whole)


def failed_batch(value: bytes | None, reason: str) -> Outgoing:
    """A message that is neither a batch nor an event, as it came."""
    return failed(value, reason, {"ex_processed": False}, {"ex_error": reason, "src": SOURCE})


@dataclass(frozen=True)
class _Stamp:
    """What a batch adds to its events.

    Attributes:
        key: the Kafka key of events without a device and an actor.
        syncts, timestamp: the same instant, in milliseconds since 1970 and as text, as JSON.
    """

    key: bytes | None
    ms: int | float
    syncts: object
    timestamp: object

    @staticmethod
    def of(members: Members, position: Position) -> _Stamp:
        ms = number_of(members.get("syncts"))
        if ms is None or not _YEAR_1_MS <= ms <= _YEAR_9999_MS:
            ms = position.received_us // 1_000
        at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(ms))
        timestamp = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1_000:03}Z"
        return _Stamp(_key_of_batch(members), ms, raw(ms), raw(timestamp))


def _opened(value: bytes) -> tuple[Members, list[bytes] | None]:
    """The members of a message, and its events as they are written; None if it is no batch."""
    try:
        members = members_of(value)
        events = members.get("events")
        if events is None or bytes(events) == b"null":
            return members, None
        return members, items_of(events)
    except UnreadableError:
        cut = cut_deep_items(value)
        if cut is None:
            raise
    members = members_of(cut.value)
    items = items_of(members.get("events", b"null"))
    return members, [cut.items.get(item, item) for item in items]


def _without_list(value: bytes | None) -> bytes | None:
    """A message whose member ``events`` is no list says so; one that cannot be read is left to the parser."""
    try:
        members = members_of(value or b"")
    except UnreadableError:
        return value
    members["events"] = raw("no list")
    return json_of(members)


def _sent_of_event(event: bytes, stamp: _Stamp) -> Iterator[Outgoing]:
    reason = _refused(event)
    try:
        members = members_of(event)
    except UnreadableError as error:
        yield Outgoing((topics.FAILED,), stamp.key, event, str(error))
        return
    if reason is not None:
        yield failed(event, reason, {"ex_processed": False}, {"ex_error": reason, "src": SOURCE})
        return
    key = key_of(members) or stamp.key
    members["syncts"], members["@timestamp"] = stamp.syncts, stamp.timestamp
    flagged(members, {"ex_processed": True})
    emptied = answers_emptied(members)
    if emptied is not None:
        yield Outgoing((topics.ASSESS,), key, json_of(members))
    yield Outgoing((topics.RAW,), key, json_of(members if emptied is None else emptied))


def _refused(event: bytes) -> str | None:
    if len(event) > MOST_EVENT_BYTES:
        return f"event of {len(event)} bytes, at most {MOST_EVENT_BYTES} are taken"
    try:
        event.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _key_of_batch(members: Members) -> bytes | None:
    return as_key(text_of(object_of(members.get("params")).get("did")) or text_of(members.get("did")))


def _audit_log(members: Members, stamp: _Stamp, events: int, fails: int, position: Position) -> bytes:
    """The LOG event that says what came of a batch."""
    msgid = text_of(object_of(members.get("params")).get("msgid"))
    name = msgid or f"{position.partition}/{position.offset}"
    ets = next((at for at in (number_of(members.get(name)) for name in ("ets", "ts")) if at is not None), None)
    pdata = {"id": "bytemeter", "pid": SOURCE}
    document = {
        "eid": "LOG",
        "ets": stamp.ms if ets is None else ets,
        "ver": "3.0",
        "mid": f"LOG:{uuid5(_AUDIT_IDS, name)}",
        "actor": {"id": "bytemeter", "type": "System"},
        "context": {"channel": text_of(members.get("channel")) or "unknown", "env": "data-pipeline", "pdata": pdata},
        "edata": {
            "type": "telemetry_audit",
            "level": "INFO",
            "message": "telemetry sync",
            "params": [{"msgid": msgid}, {"events_count": events}, {"events_failed": fails}],
        },
        "syncts": stamp.syncts,
        "@timestamp": stamp.timestamp,
    }
    return json_of(document)
