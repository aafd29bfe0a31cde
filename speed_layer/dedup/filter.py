"""In which segments of ``seen_ids`` an id may be: a Bloom filter for each segment, all of them asked at once.

The filters are kept bit-sliced, as signature files are (Faloutsos and Christodoulakis 1984): a word holds the same bit
of 16 segments' filters, so that one look-up of an id asks all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# With so many ids a filter takes 6 of a million for ids that it holds, though it does not.
CAPACITY = 2**19
_BITS = 2**24
_PROBES = 8
_ASKED_FIRST = 3
_SLICE = np.uint16
_SEGMENTS_OF_SLICE = 16
# A byte of eight bits as eight words, two times four of them in one number.
_SPREAD = np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8).astype(_SLICE).view(np.uint64)
# Worked on one after the other, so that what is made on the way stays in the processor's cache.
_BLOCKS = 64

# One row for each id: two numbers that are random.
Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


class Candidates(NamedTuple):
    """Which ids may be in which segments: the numbers of the ids, and for each a segment."""

    ids: Numbers
    segments: Numbers


@dataclass
class SegmentFilter:
    """Tells of an id in which segments it may be; it is surely in no other.

    Memory: 32 MiB for 16 segments.
    """

    _slices: list[npt.NDArray[np.uint16]] = field(default_factory=list, repr=False)
    _segments: list[int] = field(default_factory=list)

    def add_segment(self, segment: int, stored: bytes | None = None) -> None:
        """Know a segment: an empty one, or one with the filter that ``of_segment`` gave."""
        if len(self._segments) % _SEGMENTS_OF_SLICE == 0:
            self._slices.append(np.zeros(_BITS, _SLICE))
        self._segments.append(segment)
        if stored:
            packed, bit = np.frombuffer(stored, np.uint8).reshape(_BLOCKS, -1), self._bit(segment).astype(np.uint64)
            for number, words in enumerate(self._slices[-1].view(np.uint64).reshape(_BLOCKS, -1)):
                words |= (_SPREAD.take(packed[number], axis=0) << bit).reshape(-1)  # noqa: PLW2901

    def of_segment(self, segment: int) -> bytes:
        """The filter of one segment, 2 MiB."""
        mask = _SLICE(1) << self._bit(segment)
        blocks = self._slice(segment).reshape(_BLOCKS, -1)
        return b"".join(np.packbits((block & mask) != 0).tobytes() for block in blocks)

    def add(self, segment: int, keys: Keys) -> None:
        """Note that the ids are in the segment."""
        slice_, bit = self._slice(segment), _SLICE(1) << self._bit(segment)
        for probe in range(_PROBES):
            slice_[_places(keys, probe)] |= bit

    def candidates(self, keys: Keys) -> Candidates:
        """Which of the ids may be in which segments."""
        first = [_places(keys, probe) for probe in range(_ASKED_FIRST)]
        found = [self._found(keys, first, number) for number in range(len(self._slices))]
        if not found:
            return Candidates(np.empty(0, np.int64), np.empty(0, np.int64))
        return Candidates(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _found(self, keys: Keys, first: list[Numbers], number: int) -> Candidates:
        """In the segments of one slice, given the places of the first probes, which are asked for all ids."""
        slice_ = self._slices[number]
        words = np.full(len(keys), ~_SLICE(0))
        for places in first:
            words &= slice_[places]
        ids = np.flatnonzero(words)
        words = words[ids]
        for probe in range(_ASKED_FIRST, _PROBES):
            words &= slice_[_places(keys[ids], probe)]
            left = np.flatnonzero(words)
            ids, words = ids[left], words[left]
        segments = self._segments[number * _SEGMENTS_OF_SLICE : (number + 1) * _SEGMENTS_OF_SLICE]
        in_segment = [np.flatnonzero(words & (_SLICE(1) << _SLICE(bit))) for bit in range(len(segments))]
        return Candidates(
            np.concatenate([ids[those] for those in in_segment]),
            np.repeat(np.array(segments, np.int64), [len(those) for those in in_segment]),
        )

    def _slice(self, segment: int) -> npt.NDArray[np.uint16]:
        return self._slices[self._segments.index(segment) // _SEGMENTS_OF_SLICE]

    def _bit(self, segment: int) -> np.uint16:
        return _SLICE(self._segments.index(segment) % _SEGMENTS_OF_SLICE)


def _places(keys: Keys, probe: int) -> Numbers:
    """Where the filter has the id's bit of this number (double hashing: Kirsch and Mitzenmacher 2006)."""
    mixed = keys[:, 0] + np.uint64(probe) * (keys[:, 1] | np.uint64(1))
    return (mixed & np.uint64(_BITS - 1)).astype(np.int64)
