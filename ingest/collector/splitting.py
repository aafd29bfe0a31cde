"""A body into events: the bytes of each, as sent, in the order of the request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice

import msgspec

from bytemeter.web.problems import Problem, wrong_parameter
from ingest.collector.cloud_events import Refused, unwrapped

JSON = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
CLOUD_EVENT, CLOUD_EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
MEDIA_TYPES = (JSON, *NDJSON, CLOUD_EVENT, CLOUD_EVENTS)
_SPACE = b" \t\r\n"
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
# One character for each byte.
_BYTES = "latin-1"
# Numbers may be as long as they are.
_LENIENT = json.JSONDecoder(parse_int=str)
_GAP = re.compile(r"[ \t\r\n]*([,\[\]]?)[ \t\r\n]*")


@dataclass(frozen=True)
class Events:
    """Events of one request.

    Attributes:
        values: each event's JSON, which is not judged yet.
        ids: the event ids that their envelopes give, where they have one.
        refused: by place the events whose envelopes are invalid; their values mean nothing.
    """

    values: list[bytes]
    ids: dict[int, str] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)


def split(body: bytes, content_type: str, most: int) -> Events:
    """The events of a body, up to one more than ``most``.

    Raises:
        Problem: 400 if the body as a whole cannot be read, 415 for another content type.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media == JSON:
        return Events(_array(body, most) if body.lstrip(_SPACE)[:1] == b"[" else [_only(body)])
    if media in NDJSON:
        lines = (line.rstrip(b"\n") for line in BytesIO(body) if line.strip(_SPACE))
        return Events(list(islice(lines, most + 1)))
    if media == CLOUD_EVENT:
        return Events(*unwrapped([_only(body)]))
    if media == CLOUD_EVENTS:
        return Events(*unwrapped(_array(body, most)))
    raise wrong_parameter(415, "Content-Type", content_type, " or ".join((JSON, NDJSON[0], CLOUD_EVENT, CLOUD_EVENTS)))


def _only(body: bytes) -> bytes:
    if not body.strip(_SPACE):
        raise Problem(400, "the body is empty; expected an event as a JSON object, or an array of events")
    return body


def _array(body: bytes, most: int) -> list[bytes]:
    refused = "its brackets and commas do not fit"
    # All of millions of items would take much memory, and the time of others.
    if body.count(b",") <= most:
        try:
            return [bytes(item) for item in _ARRAY.decode(body)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            refused = str(error)
    try:
        return list(islice(_items(body.decode(_BYTES)), most + 1))
    except (ValueError, RecursionError):
        raise Problem(400, f"the body is not a JSON array of events: {refused}") from None


def _items(body: str) -> Iterator[bytes]:
    """The items of an array by Python's json, which also reads items that are no JSON to msgspec, such as NaN.

    Raises:
        ValueError: it is no array.
    """
    gap = _GAP.match(body)
    following = "," if gap and gap[1] == "[" else ""
    while gap and following == ",":
        place = gap.end()
        _, end = _LENIENT.raw_decode(body, place)
        yield body[place:end].encode(_BYTES)
        gap = _GAP.match(body, end)
        following = gap[1] if gap else ""
    if gap is None or following != "]" or gap.end() != len(body):
        raise ValueError("no array")
