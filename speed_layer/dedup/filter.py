"""Bloom filters in memory: for each event id, the segments of ``seen_ids`` that may contain it.

The filters are bit-sliced, as signature files are (Faloutsos and Christodoulakis 1984): a word holds the same bit of 16
segments' filters, so that a lookup of an id tests 16 segments with each word that it reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Event ids of a full segment. The false-positive rate of its filter is then (1 - e^(-kn/m))^k = 6e-6 (Bloom 1970), with
# k = 8 probes (_PROBES), n = 2^19 ids (CAPACITY) and m = 2^24 bits (_BITS).
CAPACITY = 2**19
_BITS = 2**24
_PROBES = 8
# These are read for all ids; the remaining ones only for the few ids that some segment still may contain.
_PROBES_FOR_ALL = 3
_WORD = np.uint16
_SEGMENTS_PER_WORD = 16
# For each value of a byte its eight bits as eight words, seen as two integers of 64 bits.
_BYTE_TO_WORDS = np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8).astype(_WORD).view(np.uint64)
# Filters are converted in chunks, so that intermediate arrays stay in the processor's cache.
_CHUNKS = 64

# A row of two random integers per event id.
Keys = npt.NDArray[np.uint64]
# Indexes of rows of a micro-batch, ids of segments, indexes of packs.
Indexes = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint16]


class Candidates(NamedTuple):
    """Event ids with segments that may contain them; arrays of equal length.

    Attributes:
        rows: indexes into the keys that were looked up.
        segments: ids of segments.
    """

    rows: Indexes
    segments: Indexes


@dataclass
class SegmentFilter:
    """The Bloom filters of all segments of a feed.

    Memory: 32 MiB for each 16 segments.
    """

    _slices: list[_Words] = field(default_factory=list, repr=False)
    _segments: list[int] = field(default_factory=list)

    def add_segment(self, segment: int, stored: bytes | None = None) -> None:
        """Add a segment.

        Args:
            stored: its filter, see ``to_bytes``; without it the filter is empty.
        """
        if len(self._segments) % _SEGMENTS_PER_WORD == 0:
            self._slices.append(np.zeros(_BITS, _WORD))
        self._segments.append(segment)
        if stored:
            chunks, bit = np.frombuffer(stored, np.uint8).reshape(_CHUNKS, -1), self._bit(segment).astype(np.uint64)
            words_of_chunks = self._slices[-1].view(np.uint64).reshape(_CHUNKS, -1)
            for chunk, words in zip(chunks, words_of_chunks, strict=True):
                words |= (_BYTE_TO_WORDS.take(chunk, axis=0) << bit).reshape(-1)  # noqa: PLW2901

    def to_bytes(self, segment: int) -> bytes:
        """The filter of one segment, 2 MiB."""
        mask = _WORD(1) << self._bit(segment)
        chunks = self._slice(segment).reshape(_CHUNKS, -1)
        return b"".join(np.packbits((chunk & mask) != 0).tobytes() for chunk in chunks)

    def add(self, segment: int, keys: Keys) -> None:
        """Add event ids to the filter of a segment."""
        words, mask = self._slice(segment), _WORD(1) << self._bit(segment)
        for probe in range(_PROBES):
            words[_probed_bits(keys, probe)] |= mask

    def candidates(self, keys: Keys) -> Candidates:
        """The segments that may contain each event id; no other segment contains it."""
        first_probes = [_probed_bits(keys, probe) for probe in range(_PROBES_FOR_ALL)]
        by_slice = [self._candidates_in_slice(index, keys, first_probes) for index in range(len(self._slices))]
        if not by_slice:
            return Candidates(np.empty(0, np.int64), np.empty(0, np.int64))
        return Candidates(*(np.concatenate(arrays) for arrays in zip(*by_slice, strict=True)))

    def _candidates_in_slice(self, index: int, keys: Keys, first_probes: list[Indexes]) -> Candidates:
        """Look up all keys in the segments of one slice.

        Args:
            first_probes: the bits that the first probes read, the same in all slices.
        """
        slice_ = self._slices[index]
        words = np.full(len(keys), ~_WORD(0))
        for bits in first_probes:
            words &= slice_[bits]
        rows = np.flatnonzero(words)
        words = words[rows]
        for probe in range(_PROBES_FOR_ALL, _PROBES):
            words &= slice_[_probed_bits(keys[rows], probe)]
            remaining = np.flatnonzero(words)
            rows, words = rows[remaining], words[remaining]
        segments = self._segments[index * _SEGMENTS_PER_WORD : (index + 1) * _SEGMENTS_PER_WORD]
        rows_by_segment = [rows[(words & (_WORD(1) << _WORD(bit))) != 0] for bit in range(len(segments))]
        return Candidates(
            np.concatenate(rows_by_segment),
            np.repeat(np.array(segments, np.int64), [len(rows) for rows in rows_by_segment]),
        )

    def _slice(self, segment: int) -> _Words:
        return self._slices[self._segments.index(segment) // _SEGMENTS_PER_WORD]

    def _bit(self, segment: int) -> np.uint16:
        return _WORD(self._segments.index(segment) % _SEGMENTS_PER_WORD)


def _probed_bits(keys: Keys, probe: int) -> Indexes:
    """The bit of the filter that this probe of each key reads (double hashing: Kirsch and Mitzenmacher 2006)."""
    mixed = keys[:, 0] + np.uint64(probe) * (keys[:, 1] | np.uint64(1))
    return (mixed & np.uint64(_BITS - 1)).astype(np.int64)
