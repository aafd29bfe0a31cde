"""Flags written into the bytes of an event, for events of which nothing else changes: most of them.

Decoding and encoding all members of the first level takes several times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from bytemeter.telemetry.members import UnreadableError, members_of, raw

_FLAGS, _NAME = b',"flags":', b'"flags"'
# Flags that are longer are seldom the same.
_MOST_CACHED = 200


def spliced(value: bytes, flags: Mapping[str, bool]) -> bytes | None:
    """An event with these flags, all of its other bytes as they are.

    Args:
        value: a JSON object.

    Returns:
        None unless its flags are a small object and its last member, or the word occurs nowhere in it.
    """
    place = value.rfind(_FLAGS, -_MOST_CACHED)
    if place < 0:
        # The name might be written with escapes.
        if not value.endswith(b"}") or _NAME in value or b"\\u" in value:
            return None
        place = len(value) - 1
    end = _end_with(value[place:], tuple(flags.items()))
    return value[:place] + end if end else None


@lru_cache(1_024)
def _end_with(end: bytes, flags: tuple[tuple[str, bool], ...]) -> bytes | None:
    """The end of an event with its flags, and these.

    Args:
        end: from the comma before the flags, or the last brace alone.

    Returns:
        None unless the flags are an object, which nothing but the event's own brace follows: behind the flags of an
        object within the event there is one brace more.
    """
    written = end[len(_FLAGS) : -1]
    try:
        members = members_of(written) if written else {}
    except UnreadableError:
        return None
    return _FLAGS + bytes(raw({**members, **dict(flags)})) + b"}" if end.endswith(b"}") else None
