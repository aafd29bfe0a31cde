"""Files of call detail records as 3GPP TS 32.297 says: a header of the file, then records, each with a header."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingest.importer.contents import UnreadableError, read_piece

# Length of the file and of its header, releases, instants, how many records, number of the file, why it was closed, the
# node, lost records, and the length of a filter. What follows differs by release: the header's length tells its end.
_FILE = struct.Struct(">IIBB4s4sIIB20sBH")
# Length of the record, release and version, format of the data and the specification.
_RECORD = struct.Struct(">HBB")
# Of numbers that do not fit, or are not known yet.
_UNKNOWN = 0xFFFFFFFF
# A header that names release 7 has a further byte with the release itself.
_LATER_RELEASE = 7
BER = 1


@dataclass(frozen=True)
class CallRecord:
    """A record.

    Attributes:
        number: in the file, from 1.
        format: of its data; 1 is BER.
        data: as encoded.
        end: the bytes of the content up to its end.
    """

    number: int
    format: int
    data: bytes
    end: int


class _Reader:
    """Reads a content a few bytes at a time."""

    def __init__(self, content: Any) -> None:
        self._content, self._held, self._at = content, b"", 0
        self.read = 0

    def take(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""
        while len(self._held) - self._at < size and (piece := read_piece(self._content)):
            self._held, self._at = self._held[self._at :] + piece, 0
        taken = self._held[self._at : self._at + size]
        self._at += len(taken)
        self.read += len(taken)
        return taken


def call_records(content: Any, size: int) -> Iterator[CallRecord]:
    """The records of a content, in order.

    Args:
        content: opened.
        size: its bytes.

    Raises:
        UnreadableError: it is no such file, or not all of one.
    """
    reader = _Reader(content)
    announced = _header(reader, size)
    number = 0
    while head := reader.take(_RECORD.size):
        number += 1
        if len(head) < _RECORD.size:
            raise UnreadableError(f"is cut short: record {number} has no whole header")
        length, release, format_ = _RECORD.unpack(head)
        if release >> 5 == _LATER_RELEASE:
            reader.take(1)
        data = reader.take(length)
        if len(data) < length:
            raise UnreadableError(f"is cut short: record {number} has {len(data)} of {length} bytes")
        yield CallRecord(number, format_ >> 5, data, reader.read)
    if announced not in (number, _UNKNOWN):
        raise UnreadableError(f"has {number} records; its header says {announced}")


def _header(reader: _Reader, size: int) -> int:
    """Read the header; returns how many records it announces."""
    fixed = reader.take(_FILE.size)
    if len(fixed) < _FILE.size:
        raise UnreadableError(f"has {size} bytes; the header of TS 32.297 has {_FILE.size} or more")
    length, of_header, *_, count = _FILE.unpack(fixed)[:7]
    if not _FILE.size <= of_header <= size:
        raise UnreadableError(f"is no file of TS 32.297: its header would have {of_header} bytes, of {size}")
    if length not in (size, _UNKNOWN):
        raise UnreadableError(f"has {size} bytes; its header says {length}")
    reader.take(of_header - _FILE.size)
    return int(count)
