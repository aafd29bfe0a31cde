"""Cuts items that are nested too deep for any JSON reader out of a batch, so that its other items can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A string, also one that is cut off, or a bracket outside of strings; possessive, as it never has to go back.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)
# Items of this depth, and deeper ones, are cut out.
_DEEP = 400
# Inside the batch, and inside its list of events.
_OF_ITEMS = 2


@dataclass(frozen=True)
class Cut:
    """A message with texts in place of its deep items.

    Attributes:
        items: by the text, as it is written, the item that stood there.
    """

    value: bytes
    items: dict[bytes, bytes]


def cut_deep_items(value: bytes) -> Cut | None:
    """Cut out the objects and arrays that are nested deep, of the lists at a message's first level; None if none is."""
    deep = list(_deep_items(value))
    if not deep:
        return None
    mark = b'"deep'
    while mark in value:
        mark += b"-"
    pieces: list[bytes] = []
    items: dict[bytes, bytes] = {}
    end = 0
    for number, (first, after) in enumerate(deep):
        text = mark + str(number).encode() + b'"'
        items[text] = value[first:after]
        pieces += [value[end:first], text]
        end = after
    return Cut(b"".join([*pieces, value[end:]]), items)


def _deep_items(value: bytes) -> Iterator[tuple[int, int]]:
    """The first byte and the end of each deep item."""
    depth = deepest = first = 0
    for token in _TOKENS.finditer(value):
        if token.group(1):
            depth += 1
            if depth == _OF_ITEMS + 1:
                first, deepest = token.start(), depth
            deepest = max(deepest, depth)
        elif token.group(2):
            if depth == _OF_ITEMS + 1 and deepest - _OF_ITEMS >= _DEEP:
                yield first, token.end()
            depth -= 1
