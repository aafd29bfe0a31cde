"""How the lines and columns of files become records of a feed. Another feed is one more entry of ``MAPPINGS``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from bytemeter.feeds import DATA_RECORDS, Feed
from bytemeter.feeds.fields import Whole
from ingest.identities import identified, with_member

_WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
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
    """

    feed: Feed
    delimiter: str
    columns: tuple[str, ...]
    least: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    assigned: str | None = None

    @cached_property
    def wholes(self) -> frozenset[str]:
        """The fields whose cells are numbers."""
        return frozenset(known.name for known in self.feed.fields if isinstance(known.type, Whole))

    def fields_of(self, header: Sequence[str]) -> tuple[str, ...] | None:
        """The fields that a header names; None if it is none: it names no required field."""
        names = tuple(self.aliases.get(name.strip(), name.strip()) for name in header)
        required = {known.name for known in self.feed.fields if known.required} - {self.feed.event_id}
        return names if required.issubset(names) else None

    def document(self, fields: Sequence[str], cells: Sequence[Any], id_: str) -> bytes:
        """The record of a row as JSON. A cell that is no number stays a text: the feed's parser says what is wrong."""
        record = {name: cell for name, cell in zip(fields, cells, strict=False) if cell not in ("", None)}
        for name in self.wholes:
            cell = record.get(name)
            if isinstance(cell, str) and _WHOLE.fullmatch(cell):
                record[name] = int(cell)
        if self.assigned is not None:
            record[self.assigned] = id_
        if self.feed.event_id is not None:
            record.setdefault(self.feed.event_id, id_)
        return _ENCODE(record)

    def identified(self, values: list[bytes], id_of: Callable[[int], str]) -> list[bytes]:
        """JSON objects with their ids, by their places."""
        if self.assigned is not None:
            values = [with_member(value, self.assigned, id_of(place)) for place, value in enumerate(values)]
        return identified(self.feed, values, {}, id_of)


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
    )
}
