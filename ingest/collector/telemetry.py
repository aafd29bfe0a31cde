"""Batches of telemetry: what a client sends becomes one message that the stream can take apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from bytemeter.feeds import TELEMETRY_BATCHES
from bytemeter.parsing.single import REASON, read_single
from bytemeter.telemetry.batches import MOST_EVENTS
from bytemeter.web.problems import Problem

MOST_BATCH_BYTES = 5 * 2**20
# Members of a batch by the header that names them.
HEADERS = {"did": "x-device-id", "channel": "x-channel-id", "pid": "x-app-id"}

_Members = dict[str, msgspec.Raw]
_MEMBERS = msgspec.json.Decoder(_Members)
_EVENTS = msgspec.json.Decoder(list[_Members])
_ENCODE = msgspec.json.Encoder().encode
_Id = Annotated[str, msgspec.Meta(max_length=512)]
_NOTHING = msgspec.Raw(b"null")


@dataclass(frozen=True)
class Batch:
    """A batch as it is sent to Kafka.

    Attributes:
        value: the message.
        key: the device; None if the batch names none.
        mid: the batch's id.
        events: how many it has.
    """

    value: bytes
    key: str | None
    mid: str
    events: int


def batch_of(body: bytes, headers: Mapping[str, str | None], new_mid: Callable[[], str], now_ms: int) -> Batch:
    """The batch of a request: the client's members and events as they are, and ours.

    Args:
        headers: values by the members of ``HEADERS``; None where the request has none. They win over the body's.
        new_mid: makes an id for a batch that has none. It is also the ``msgid`` of such a batch, by which the stream
            deduplicates batches: a message that the collector sends twice counts once.
        now_ms: the clock, in milliseconds since 1970.

    Raises:
        Problem: 400 if it is no batch.
    """
    batch, events = _read(body)
    if events > MOST_EVENTS:
        raise _no_batch(f"{events} events, at most {MOST_EVENTS} are taken")
    mid = _text(batch, "mid")
    if mid is None:
        mid = new_mid()
        batch["params"] = _with_msgid(batch.get("params", _NOTHING), mid)
    ours: dict[str, Any] = {name: value for name, value in headers.items() if value is not None}
    ours |= {"id": mid, "mid": mid, "syncts": now_ms}
    batch |= {name: msgspec.Raw(_ENCODE(value)) for name, value in ours.items()}
    found = read_single(TELEMETRY_BATCHES.fields, _ENCODE(batch | {"events": msgspec.Raw(_ENCODE(events))}))
    if REASON in found:
        raise _no_batch(found[REASON])
    return Batch(_ENCODE(batch), found["device"], mid, events)


def _read(body: bytes) -> tuple[_Members, int]:
    """The members of a batch, and the number of its events."""
    try:
        body.decode()
        batch = _MEMBERS.decode(body)
    except UnicodeDecodeError:
        raise _no_batch("not UTF-8") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _no_batch(str(error)) from None
    if "events" not in batch:
        raise _no_batch("missing events")
    try:
        return batch, len(_EVENTS.decode(batch["events"]))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _no_batch(f"events: {error}") from None


def _with_msgid(params: msgspec.Raw, mid: str) -> msgspec.Raw:
    """The batch's params with a msgid; what is no object is left for the reader to refuse."""
    try:
        members = msgspec.json.decode(params, type=_Members | None) or {}
    except msgspec.MsgspecError:
        return params
    if bytes(members.get("msgid", _NOTHING)) in (b"null", b'""'):
        members["msgid"] = msgspec.Raw(_ENCODE(mid))
    return msgspec.Raw(_ENCODE(members))


def _text(batch: _Members, name: str) -> str | None:
    """A text of 1 to 512 characters; None if it is missing, null or empty."""
    try:
        return msgspec.json.decode(batch.get(name, _NOTHING), type=_Id | None) or None
    except msgspec.MsgspecError as error:
        raise _no_batch(f"{name}: {error}") from None


def _no_batch(seen: str) -> Problem:
    expected = "one JSON object with `events`, an array of objects"
    return Problem(
        400, f"the body is no batch: {seen}; expected {expected}", name="body", value=seen, expected=expected
    )
