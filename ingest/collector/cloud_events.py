"""CloudEvents 1.0 in JSON: ``data`` is the event, ``id`` and ``source`` together make its event id."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cloudevents.io")
_REQUIRED = ("specversion", "id", "source", "type")
_VERSION = "1.0"
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MOST_CHARACTERS = 4_096


class Refused(NamedTuple):
    """Why an event is invalid, and the field that is to blame."""

    reason: str
    field: str | None


class _InvalidError(Exception):
    """What is wrong with an envelope."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.refused = Refused(reason, field)


def unwrapped(envelopes: Iterable[bytes]) -> tuple[list[bytes], dict[int, str], dict[int, Refused]]:
    """The events in envelopes, the event ids by place, and what is wrong with envelopes by place."""
    values: list[bytes] = []
    ids: dict[int, str] = {}
    refused: dict[int, Refused] = {}
    for place, envelope in enumerate(envelopes):
        try:
            value, ids[place] = _unwrapped(envelope)
        except _InvalidError as error:
            value, refused[place] = b"", error.refused
        values.append(value)
    return values, ids, refused


def _unwrapped(envelope: bytes) -> tuple[bytes, str]:
    try:
        members = _ENVELOPE.decode(envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _InvalidError("not a CloudEvent: not a JSON object") from None
    required = {name: _text(members, name) for name in _REQUIRED}
    if required["specversion"] != _VERSION:
        raise _InvalidError("specversion is not 1.0", "specversion")
    if "data" not in members:
        seen = "data_base64 in place of data" if "data_base64" in members else "missing data"
        raise _InvalidError(f"{seen}: expected the event as a JSON object", "data")
    # Lengths keep ("a", "bc") and ("ab", "c") apart.
    name = f"{len(required['source'])}:{required['source']}{required['id']}"
    return bytes(members["data"]), str(uuid.uuid5(_NAMESPACE, name))


def _text(members: dict[str, msgspec.Raw], name: str) -> str:
    if name not in members:
        raise _InvalidError(f"missing {name}", name)
    try:
        # Half a character, which JSON could escape, is refused here.
        value: Any = msgspec.json.decode(members[name])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_CHARACTERS:
        raise _InvalidError(f"{name} is not a text of 1 to {_MOST_CHARACTERS} characters", name)
    return value
