"""Flags written into the bytes of an event, for events of which nothing else changes: most of them.

Decoding and encoding all members of the first level takes several times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from bytemeter.telemetry.members import Members, UnreadableError, json_of, members_of, raw

_FLAGS, _NAME = b',"flags":', b'"flags"'
# Bytes of flags: longer ones are seldom the same.
MOST_CACHED = 200


def spliced(value: bytes, flags: Mapping[str, bool]) -> bytes | None:
    """An event with these flags, all of its other bytes as they are.

    Args:
        value: a JSON object.

    Returns:
        None unless its flags are a small object and its last member, or the word occurs nowhere in it.
    """
    place = _end_of_others(value)
    end = _end_with(value[place:], tuple(flags.items())) if place else None
    return value[:place] + end if end else None


def cut(value: bytes, names: frozenset[str]) -> tuple[bytes, bytes] | None:
    """An event without its flags, and its flags but for the flags of these names, as a compact JSON object.

    Args:
        value: a JSON object.

    Returns:
        None as ``spliced`` does, and where none are left of flags that the event may have twice: of a member that
        occurs twice the last one counts.
    """
    place = _end_of_others(value)
    flags = _flags_left(value[place:], names) if place else None
    event = value[:place] + b"}"
    if flags is None or (flags == b"{}" and _may_have_flags(event)):
        return None
    return event, flags


def _end_of_others(value: bytes) -> int:
    """Where the flags begin, or where they would: with a comma. 0 if that is not known."""
    place = value.rfind(_FLAGS, -MOST_CACHED)
    if place >= 0:
        return place
    return 0 if not value.endswith(b"}") or _may_have_flags(value) else len(value) - 1


def _may_have_flags(value: bytes) -> bool:
    # The name might be written with escapes.
    return _NAME in value or b"\\u" in value


@lru_cache(1_024)
def _end_with(end: bytes, flags: tuple[tuple[str, bool], ...]) -> bytes | None:
    """The end of an event with its flags, and these; None unless it has them at its end.

    Args:
        end: from the comma before the flags, or the last brace alone.
    """
    members = _flags_at(end)
    return None if members is None else _FLAGS + bytes(raw({**members, **dict(flags)})) + b"}"


@lru_cache(1_024)
def _flags_left(end: bytes, names: frozenset[str]) -> bytes | None:
    members = _flags_at(end)
    return None if members is None else json_of({name: flag for name, flag in members.items() if name not in names})


def _flags_at(end: bytes) -> Members | None:
    """The flags; None unless they are an object, which nothing but the event's own brace follows.

    Behind the flags of an object within the event there is one brace more.
    """
    written = end[len(_FLAGS) : -1]
    try:
        return (members_of(written) if written else {}) if end.endswith(b"}") else None
    except UnreadableError:
        return None
