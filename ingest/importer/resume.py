"""The resume point of an import: how far a content is sent, in Kafka and in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

# The brokers' offset.metadata.max.bytes, unless an administrator has changed it.
_MOST_BYTES = 4_096


@dataclass(frozen=True)
class ResumePoint:
    """The lines before ``next_line``, and what became of them.

    Attributes:
        next_line: the first line that is not sent, from 1.
        accepted, invalid, repeated: how many lines before it.
        offsets: by partition the first and the last offset of accepted lines.
    """

    next_line: int = 1
    accepted: int = 0
    invalid: int = 0
    repeated: int = 0
    offsets: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """All lines before it, but blank ones and headers."""
        return self.accepted + self.invalid + self.repeated

    def plus(self, next_line: int, accepted: int, invalid: int, repeated: int) -> ResumePoint:
        """The point after some more lines; their offsets are added once Kafka has told them."""
        counts = (self.accepted + accepted, self.invalid + invalid, self.repeated + repeated)
        return ResumePoint(next_line, *counts, self.offsets)

    def with_offsets(self, offsets: Mapping[int, tuple[int, int]]) -> ResumePoint:
        """The point with the offsets of a transaction."""
        merged = dict(self.offsets)
        for partition, (first, last) in offsets.items():
            known = merged.get(partition, (first, last))
            merged[partition] = (min(first, known[0]), max(last, known[1]))
        return ResumePoint(self.next_line, self.accepted, self.invalid, self.repeated, merged)

    def metadata(self) -> str:
        """All but the next line, for the metadata of an offset in Kafka: without offsets if those take too much."""
        counts = [self.accepted, self.invalid, self.repeated]
        ranges = [[partition, *range_] for partition, range_ in sorted(self.offsets.items())]
        text = msgspec.json.encode([counts, ranges])
        return (text if len(text) <= _MOST_BYTES else msgspec.json.encode([counts, []])).decode()

    @staticmethod
    def read(next_line: int, metadata: str) -> ResumePoint:
        """The point of an offset and its metadata.

        Raises:
            msgspec.MsgspecError: they are not of an import.
        """
        (accepted, invalid, repeated), ranges = msgspec.json.decode(metadata, type=_Metadata)
        offsets = {partition: (first, last) for partition, first, last in ranges}
        return ResumePoint(next_line, accepted, invalid, repeated, offsets)


_Metadata = tuple[tuple[int, int, int], list[tuple[int, int, int]]]
