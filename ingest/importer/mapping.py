"""How the lines and columns of files become records of a feed. Another feed is one more entry of ``MAPPINGS``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds import BILLABLE_EVENTS, DATA_RECORDS, Feed
from bytemeter.feeds.fields import Whole

_WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
# A whole number as JSON writes it.
_CANONICAL = "^(?:0|-?[1-9][0-9]{0,17})$"
_ENCODE = msgspec.json.Encoder(decimal_format="string").encode


@dataclass(frozen=True)
class Layout:
    """What files of a feed look like.

    Attributes:
        feed: whose topic gets the records.
        delimiter: between the cells of lines without a header.
        columns: the fields of such lines, in their order.
        least: so many of them a line has at least.
        aliases: other names of columns, with the fields that they are.
        assigned: the field that gets each record's id of content and line; None if the feed has none.
        defaults: what required fields are where a row has none, by field.
    """

    feed: Feed
    delimiter: str
    columns: tuple[str, ...]
    least: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    assigned: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def wholes(self) -> frozenset[str]:
        """The fields whose cells are numbers."""
        return frozenset(known.name for known in self.feed.fields if isinstance(known.type, Whole))

    def fields_of(self, header: Sequence[str]) -> tuple[str, ...] | None:
        """The fields that a header names; None if it is none: it lacks a required field, or names one twice."""
        names = tuple(self.aliases.get(name.strip(), name.strip()) for name in header)
        required = {known.name for known in self.feed.fields if known.required} - {self.feed.event_id, *self.defaults}
        return names if required.issubset(names) and len(set(names)) == len(names) else None

    def document(self, fields: Sequence[str], cells: Sequence[Any], id_: str) -> bytes:
        """The record of a row as JSON. A cell that is no number stays a text: the feed's parser says what is wrong."""
        record = {name: cell for name, cell in zip(fields, cells, strict=False) if cell not in ("", None)}
        for name in self.wholes:
            cell = record.get(name)
            if isinstance(cell, str) and _WHOLE.fullmatch(cell):
                record[name] = int(cell)
        for name, text in self.defaults.items():
            record.setdefault(name, text)
        if self.assigned is not None:
            record[self.assigned] = id_
        if self.feed.event_id is not None:
            record.setdefault(self.feed.event_id, id_)
        return _ENCODE(record)

    def is_plain(self, name: str, cells: pa.Array) -> pa.BooleanArray | None:
        """Which cells of a column are JSON as they are, or between quotes; None if all of them are.

        Args:
            cells: texts without quotes, backslashes and control characters.
        """
        if name not in self.wholes:
            return None
        plain = pc.match_substring_regex(cells.cast(pa.string()), _CANONICAL)
        return None if pc.all(plain).as_py() else plain

    def documents(self, fields: Sequence[str], cells: Sequence[pa.Array], ids: pa.BinaryArray) -> pa.BinaryArray:
        """The records of rows as JSON, as ``document`` makes them, of plain cells that are not empty."""
        given = {name: cell for name, cell in zip(fields, cells, strict=True) if name != self.assigned}
        for name, text in self.defaults.items():
            given.setdefault(name, pa.scalar(text.encode(), pa.binary()))
        if self.assigned is not None:
            given[self.assigned] = ids
        if self.feed.event_id is not None:
            given.setdefault(self.feed.event_id, ids)
        parts: list[Any] = []
        before = b"{"
        for name, column in given.items():
            quote = b"" if name in self.wholes else b'"'
            parts += [pa.scalar(before + _ENCODE(name) + b":" + quote, pa.binary()), column]
            before = quote + b","
        end = before.removesuffix(b",") + b"}"
        return pc.binary_join_element_wise(*parts, pa.scalar(end, pa.binary()), pa.scalar(b"", pa.binary()))


MAPPINGS = {
    layout.feed.name: layout
    for layout in (
        Layout(
            DATA_RECORDS,
            delimiter=";",
            columns=("id", "recordedAt", "msisdn", "recordedBytes"),
            least=4,
            aliases={"bytes": "recordedBytes"},
            assigned="internalId",
        ),
        Layout(
            BILLABLE_EVENTS,
            delimiter=",",
            columns=("timestamp", "customer", "amount", "type"),
            least=3,
            defaults={"type": "MISC"},
        ),
    )
}
