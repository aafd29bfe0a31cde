"""An event as the members of its first level: members are set or left out, all others keep their bytes.

The values of members are never decoded here, so that numbers, escapes and the order of members below stay as a producer
wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bytemeter.errors import BytemeterError

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]

# By name the values, as they are written: ``msgspec.Raw``.
Members = dict[str, Any]
_OBJECT, _OBJECT_ALONE, _ARRAY, _TEXT, _ANY = "object", "object alone", "array", "text", "value"


class UnreadableError(ValueError):
    """These bytes are no JSON object in UTF-8 of a depth that is read; the text is the reason."""


def members_of(value: bytes | memoryview) -> Members:
    """The members of a JSON object; of one that occurs twice the last value counts.

    Raises:
        UnreadableError: it is none, or nested too deep.
    """
    found: Members = _decoded(value, _OBJECT)
    return found


def object_alone(value: bytes) -> bytes:
    """The member ``object`` of a JSON object, as it is written; empty without one. Faster than all members."""
    return bytes(_decoded(value, _OBJECT_ALONE).object)


def items_of(value: bytes | memoryview) -> list[bytes]:
    """The items of a JSON array, as they are written.

    Raises:
        UnreadableError: it is none, or nested too deep.
    """
    return [bytes(item) for item in _decoded(value, _ARRAY)]


def value_of(value: bytes | memoryview | None) -> Any:
    """A small value decoded; None for one that is missing or unreadable."""
    if value is None:
        return None
    try:
        return _decoded(value, _ANY)
    except UnreadableError:
        return None


def object_of(value: bytes | memoryview | None) -> Members:
    """The members of a JSON object; none of what is missing, unreadable or no object."""
    try:
        return members_of(value) if value is not None else {}
    except UnreadableError:
        return {}


def number_of(value: bytes | memoryview | None) -> int | float | None:
    """The number; None for all else."""
    found = value_of(value)
    return found if type(found) in (int, float) else None


def text_of(value: bytes | memoryview | None) -> str | None:
    """The text of a JSON string that is not empty; None for all else."""
    try:
        return _decoded(value, _TEXT) or None if value is not None else None
    except UnreadableError:
        return None


def json_of(value: Any) -> bytes:
    """A value as compact JSON; ``Members`` inside it as they are written."""
    encoded: bytes = require_msgspec().json.encode(value)
    return encoded


def raw(value: Any) -> Any:
    """A value as the value of a member."""
    return require_msgspec().Raw(json_of(value))


def with_object(members: Members, name: str, added: Mapping[str, Any]) -> None:
    """Add members to the object of this name; one that is missing, or no object, is made."""
    members[name] = raw({**object_of(members.get(name)), **added})


def _decoded(value: bytes | memoryview, kind: str) -> Any:
    try:
        return _decoder(kind)(value)
    except RecursionError:
        raise UnreadableError("nested too deep") from None
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8") from None
    except msgspec.ValidationError:
        raise UnreadableError(f"not a JSON {kind}") from None
    except msgspec.MsgspecError:
        raise UnreadableError("not JSON") from None


@cache
def _decoder(kind: str) -> Callable[[bytes | memoryview], Any]:
    json = require_msgspec().json
    types: dict[str, Any] = {
        _OBJECT: dict[str, msgspec.Raw],
        _OBJECT_ALONE: msgspec.defstruct("ObjectAlone", [("object", msgspec.Raw, msgspec.Raw(b""))], gc=False),
        _ARRAY: list[msgspec.Raw],
        _TEXT: str,
        _ANY: Any,
    }
    decode: Callable[[bytes | memoryview], Any] = json.Decoder(types[kind]).decode
    return decode


def require_msgspec() -> Any:
    """The library that reads and writes members.

    Raises:
        BytemeterError: this Python lacks it.
    """
    if msgspec is None:
        raise BytemeterError(
            "telemetry is edited by msgspec, which this Python lacks; install msgspec on the executors, too"
        )
    return msgspec
