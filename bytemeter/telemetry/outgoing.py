"""What becomes of a message of telemetry: the messages that are sent on, each to its topics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from bytemeter.telemetry import topics
from bytemeter.telemetry.members import Members, UnreadableError, json_of, members_of, object_of, text_of, with_object
from bytemeter.telemetry.splicing import MOST_CACHED

# The types of an object that is a dialcode, in lower case.
DIALCODES = ("dialcode", "qr")
_MOST_KEY_CHARACTERS = 512
# Besides the value a message has a key and headers.
_MOST_FAILED_BYTES = topics.MESSAGE_BYTES[topics.FAILED] - 16_384
# So much is sent of what the topic would refuse.
_BEGINNING_BYTES = 65_536


class Outgoing(NamedTuple):
    """One message to send.

    Attributes:
        topics: where to, without the topic prefix.
        key: None for any partition.
        value: None is a tombstone.
        reason: why it failed; None of all others.
    """

    topics: tuple[str, ...]
    key: bytes | None
    value: bytes | None
    reason: str | None = None


def failed(value: bytes | None, reason: str, flags: Mapping[str, bool], metadata: Mapping[str, object]) -> Outgoing:
    """A message as it came, with flags and metadata where it is an object.

    Of one that is too large for its topic, which Kafka had taken compressed, the beginning.
    """
    made = _failed(value, reason, flags, metadata)
    if value is None or len(made.value or b"") <= _MOST_FAILED_BYTES:
        return made
    cut = f"{reason}; the first {_BEGINNING_BYTES} of {len(value)} bytes"
    return Outgoing((topics.FAILED,), None, value[:_BEGINNING_BYTES], cut)


def _failed(value: bytes | None, reason: str, flags: Mapping[str, bool], metadata: Mapping[str, object]) -> Outgoing:
    try:
        members = members_of(value or b"")
    except UnreadableError:
        return Outgoing((topics.FAILED,), None, value, reason)
    with_object(members, "flags", flags)
    with_object(members, "metadata", metadata)
    return Outgoing((topics.FAILED,), key_of(members), json_of(members), reason)


def duplicate(value: bytes, flag: str, key: bytes | None = None) -> Outgoing:
    """A repeated message, with its flag."""
    members = members_of(value)
    with_object(members, "flags", {flag: True})
    return Outgoing((topics.DUPLICATE,), key or key_of(members), json_of(members))


def key_of(members: Members) -> bytes | None:
    """The Kafka key of an event: its device, else its actor. None where that is longer than an id may be."""
    did = _text_in(members, "context", "did") or text_of(members.get("did")) or _text_in(members, "actor", "id")
    return as_key(did)


def as_key(text: str | None) -> bytes | None:
    """An id as a Kafka key; None of one that is missing, or longer than an id may be."""
    return text.encode() if text and len(text) <= _MOST_KEY_CHARACTERS else None


def _text_in(members: Members, name: str, member: str) -> str | None:
    return text_of(object_of(members.get(name)).get(member))


def flagged(members: Members, flags: Mapping[str, bool]) -> None:
    """Add flags to an event. Most events have the same ones."""
    written = bytes(members.get("flags", b""))
    if len(written) <= MOST_CACHED:
        members["flags"] = _with_flags(written, tuple(flags.items()))
    else:
        with_object(members, "flags", flags)


@lru_cache(1_024)
def _with_flags(written: bytes, flags: tuple[tuple[str, bool], ...]) -> Any:
    members: Members = {"flags": written} if written else {}
    with_object(members, "flags", dict(flags))
    return members["flags"]
