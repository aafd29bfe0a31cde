"""Flags written into the bytes of an event, for events of which nothing else changes: most of them.

Decoding and encoding all members of the first level takes several times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

from bytemeter.telemetry.members import UnreadableError, members_of, msgspec, raw

_FLAGS = b',"flags":'
_MOST_CACHED = 200


def parts_that_change(value: bytes) -> tuple[bytes, bytes]:
    """The members object and flags of a JSON object, as they are written; empty where they are missing."""
    found = _decoder()(value)
    return bytes(found.object), bytes(found.flags)


def spliced(value: bytes, written: bytes, flags: Mapping[str, bool]) -> bytes | None:
    """An event with these flags, all of its other bytes as they are.

    Args:
        value: a JSON object.
        written: its flags as they are; empty without any.

    Returns:
        None unless its flags are a small object and its last member, or it has none.
    """
    end = _FLAGS + written + b"}" if written else b"}"
    # Behind the flags of an object within it one more brace would follow: this end is that of the event itself.
    if len(written) > _MOST_CACHED or not value.endswith(end):
        return None
    flagged = _with_flags(written, tuple(flags.items()))
    return value[: -len(end)] + flagged if flagged else None


@lru_cache(1_024)
def _with_flags(written: bytes, flags: tuple[tuple[str, bool], ...]) -> bytes | None:
    """The end of an event with its flags, and these; None if its own are no object."""
    try:
        members = members_of(written) if written else {}
    except UnreadableError:
        return None
    return _FLAGS + bytes(raw({**members, **dict(flags)})) + b"}"


@cache
def _decoder() -> Callable[[bytes], Any]:
    members = [(name, msgspec.Raw, msgspec.Raw(b"")) for name in ("object", "flags")]
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(msgspec.defstruct("Parts", members, gc=False)).decode
    return decode
