"""Events as Python's json reads them, made ready for a validator that knows whole characters and a limited depth."""

from __future__ import annotations

import json
from typing import Any

# jsonschema-rs reads 255 levels. No schema says anything so far down: there the documents end.
MOST_LEVELS = 200
_MOST_DIGITS = 19
_MOST_POINTER = 1_000


def read(value: bytes) -> Any:
    """The event. A number is an int of 64 bits or a float, infinite where it is beyond all doubles.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(value, parse_int=_number)


def pointer(path: list[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a path; of one of over 1,000 characters the beginning, and an ellipsis."""
    whole_ = "".join("/" + str(name).replace("~", "~0").replace("/", "~1") for name in path)
    return whole_ if len(whole_) <= _MOST_POINTER else whole_[:_MOST_POINTER] + "…"


def whole(document: Any, most: int) -> tuple[Any, list[str]]:
    """A copy with whole characters only, cut where it is too deep.

    Args:
        most: of the pointers.

    Returns:
        The copy, with U+FFFD in place of each half of a surrogate pair; and the pointers to the texts, and to the
        objects with member names, that have halves.
    """
    halves: list[str] = []
    holder: list[Any] = [document]
    places: list[tuple[Any, Any, list[str | int]]] = [(holder, 0, [])]
    while places:
        inside, key, path = places.pop()
        value = inside[key]
        if isinstance(value, str):
            inside[key] = _mended(value)
            if inside[key] != value and len(halves) < most:
                halves.append(pointer(path))
        elif isinstance(value, dict):
            copy = {_mended(name): member for name, member in value.items()} if len(path) < MOST_LEVELS else {}
            inside[key] = copy
            if any(_mended(name) != name for name in value) and len(halves) < most:
                halves.append(pointer(path))
            places += [(copy, name, [*path, name]) for name in copy]
        elif isinstance(value, list):
            items = inside[key] = list(value) if len(path) < MOST_LEVELS else []
            places += [(items, index, [*path, index]) for index in range(len(items))]
    return holder[0], halves


def _mended(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(text: str) -> int | float:
    return int(text) if len(text) <= _MOST_DIGITS else float(text)
