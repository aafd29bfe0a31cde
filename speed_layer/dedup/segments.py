"""Segments of event ids on their way into the store: the open one of an hour, and full ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bytemeter.hashing import Hashes, contained_in
from speed_layer.dedup.filter import Indexes, Keys, bits_for, may_contain, set_bits
from speed_layer.dedup.packs import ENTRY, Entries, FenceKeys, keys_of

_LEAST_ROOM = 32


class FullSegment(NamedTuple):
    """A full segment whose packs are written, sorted.

    Attributes:
        generation: where its packs are.
        hour: the event hour of its ids; None: of several hours.
        filter, fences: what was written; None: not read yet.
    """

    segment: int
    generation: int
    hour: int | None
    filter: bytes | None = None
    fences: FenceKeys | None = None


@dataclass(eq=False)
class OpenSegment:
    """The segment that small micro-batches share, of one hour. Its packs are in the order of their arrival.

    Its ids are in memory, too: about 90 bytes each.

    Attributes:
        next_pack: the index of the next pack.
    """

    segment: int
    size: int = 0
    next_pack: int = 0
    _entries: Entries = field(default_factory=lambda: np.empty(_LEAST_ROOM, ENTRY), repr=False)
    _keys: Hashes = field(default_factory=lambda: np.empty(_LEAST_ROOM, np.uint64), repr=False)
    _filter: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(bits_for(_LEAST_ROOM), bool), repr=False)

    @property
    def entries(self) -> Entries:
        """All its entries."""
        return self._entries[: self.size]

    def add(self, entries: Entries, keys: Keys) -> None:
        """Add entries in memory only."""
        end = self.size + len(entries)
        self._make_room(end)
        self._entries[self.size : end], self._keys[self.size : end] = entries, keys[:, 0]
        set_bits(self._filter, keys)
        self.size = end

    def lookup(self, keys: Keys) -> tuple[Indexes, Entries]:
        """The rows of the keys that it may contain, and its entries that have one of these."""
        rows = may_contain(self._filter, keys)
        if not len(rows):
            return rows, self._entries[:0]
        found: Entries = self.entries[contained_in(self._keys[: self.size], np.sort(keys[rows, 0]))]
        return rows, found

    def _make_room(self, size: int) -> None:
        """Have room for so many entries; room and filter double, so that their cost for each entry stays the same."""
        room = len(self._keys)
        if size <= room:
            return
        room = max(2 * room, 1 << (size - 1).bit_length())
        entries, keys = np.empty(room, ENTRY), np.empty(room, np.uint64)
        entries[: self.size], keys[: self.size] = self.entries, self._keys[: self.size]
        self._filter = np.zeros(bits_for(room), bool)
        set_bits(self._filter, keys_of(self.entries))
        self._entries, self._keys = entries, keys
