"""Bloom filters in memory: for each event id, the segments of an hour that may contain it.

The filters are bit-sliced, as signature files are (Faloutsos and Christodoulakis 1984): a byte holds the same bit of 8
segments' filters, so that a lookup of an id tests 8 segments with each byte that it reads. A wider word would test
more, but a slice of bytes still fits in the processor's cache: three times as fast as words of 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Event ids of a full segment. The false-positive rate of its filter is then (1 - e^(-kn/m))^k = 6e-6 (Bloom 1970), with
# k = 8 probes (_PROBES), n = 2^19 ids and m = 2^24 bits. Smaller segments have smaller filters (see ``bits_for``).
CAPACITY = 2**19
_BITS_PER_ID = 32
_LEAST_BITS = 2**10
_PROBES = 8
# These are read for all ids; the remaining ones only for the few ids that some segment still may contain.
_PROBES_FOR_ALL = 3
_SEGMENTS_PER_BYTE = 8
# For each value of a byte its eight bits as eight bytes, seen as one integer of 64 bits.
_BYTE_TO_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8).view(np.uint64).reshape(-1)
# Filters are converted in chunks of at most so many bytes, so that intermediate arrays stay in the processor's cache.
_CHUNK = 2**15

# A row of two random integers per event id.
Keys = npt.NDArray[np.uint64]
# Indexes of rows of a micro-batch, ids of segments, indexes of packs.
Indexes = npt.NDArray[np.int64]
_Slice = npt.NDArray[np.uint8]
_NONE = np.empty(0, np.int64)


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
    """The Bloom filters of segments, all of the same size.

    Memory: as many bytes as a filter has bits, for each 8 segments.

    Attributes:
        bits: the size of each filter, a power of two from 8 up.
    """

    bits: int
    _slices: list[_Slice] = field(default_factory=list, repr=False)
    _segments: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return self.bits * len(self._slices)

    def add_segment(self, segment: int, stored: bytes) -> None:
        """Add a segment.

        Args:
            stored: its filter, see ``filter_of``.
        """
        bit = np.uint64(len(self._segments) % _SEGMENTS_PER_BYTE)
        if bit == 0:
            self._slices.append(np.zeros(self.bits, np.uint8))
        self._segments.append(segment)
        values, slice_ = np.frombuffer(stored, np.uint8), self._slices[-1].view(np.uint64)
        for begin in range(0, len(values), _CHUNK):
            slice_[begin : begin + _CHUNK] |= _BYTE_TO_BYTES.take(values[begin : begin + _CHUNK]) << bit

    def candidates(self, keys: Keys) -> Candidates:
        """The segments that may contain each event id; no other segment contains it."""
        first_probes = [probed_bits(keys, probe, self.bits) for probe in range(_PROBES_FOR_ALL)]
        by_slice = [self._candidates_in_slice(index, keys, first_probes) for index in range(len(self._slices))]
        return joined(by_slice)

    def _candidates_in_slice(self, index: int, keys: Keys, first_probes: list[Indexes]) -> Candidates:
        """Look up all keys in the segments of one slice.

        Args:
            first_probes: the bits that the first probes read, the same in all slices.
        """
        slice_ = self._slices[index]
        found = slice_[first_probes[0]]
        for bits in first_probes[1:]:
            found &= slice_[bits]
        rows = np.flatnonzero(found)
        found = found[rows]
        for probe in range(_PROBES_FOR_ALL, _PROBES):
            found &= slice_[probed_bits(keys[rows], probe, self.bits)]
            remaining = np.flatnonzero(found)
            rows, found = rows[remaining], found[remaining]
        segments = self._segments[index * _SEGMENTS_PER_BYTE : (index + 1) * _SEGMENTS_PER_BYTE]
        rows_by_segment = [rows[(found >> np.uint8(bit)) & np.uint8(1) != 0] for bit in range(len(segments))]
        return Candidates(
            np.concatenate(rows_by_segment),
            np.repeat(np.array(segments, np.int64), [len(rows) for rows in rows_by_segment]),
        )


def joined(candidates: list[Candidates]) -> Candidates:
    """Several candidates as one."""
    if not candidates:
        return Candidates(_NONE, _NONE)
    return Candidates(*(np.concatenate(arrays) for arrays in zip(*candidates, strict=True)))


def bits_for(ids: int) -> int:
    """The size of the filter of a segment of so many ids, at most ``CAPACITY``: a power of two, 32 to 64 bits an id."""
    return max(_LEAST_BITS, 1 << (_BITS_PER_ID * ids - 1).bit_length())


def filter_of(keys: Keys) -> bytes:
    """The filter of a segment with these keys; its size is ``bits_for(len(keys))``."""
    bits = bits_for(len(keys))
    is_set = np.zeros(bits, bool)
    set_bits(is_set, keys)
    return np.packbits(is_set).tobytes()


def set_bits(is_set: npt.NDArray[np.bool_], keys: Keys) -> None:
    """Add keys to a filter that has a boolean for each bit; their number is a power of two."""
    for probe in range(_PROBES):
        is_set[probed_bits(keys, probe, len(is_set))] = True


def may_contain(is_set: npt.NDArray[np.bool_], keys: Keys) -> Indexes:
    """The indexes of the keys that a filter with a boolean for each bit may contain."""
    rows = np.flatnonzero(is_set[probed_bits(keys, 0, len(is_set))])
    for probe in range(1, _PROBES):
        rows = rows[is_set[probed_bits(keys[rows], probe, len(is_set))]]
    return rows


def probed_bits(keys: Keys, probe: int, bits: int) -> Indexes:
    """The bit of the filter that this probe of each key reads (double hashing: Kirsch and Mitzenmacher 2006)."""
    mixed = keys[:, 0] + np.uint64(probe) * (keys[:, 1] | np.uint64(1))
    return (mixed & np.uint64(bits - 1)).astype(np.int64)
