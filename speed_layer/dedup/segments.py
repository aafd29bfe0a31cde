"""Segments of event ids on their way into ``seen_ids``: the open one that small micro-batches share, and full ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bytemeter.hashing import Hashes, contained_in
from speed_layer.dedup.filter import CAPACITY, Keys
from speed_layer.dedup.packs import ENTRY, Entries, FenceKeys


class FullSegment(NamedTuple):
    """A full segment whose packs are written, sorted."""

    segment: int
    fences: FenceKeys
    filter: bytes


@dataclass
class OpenSegment:
    """The segment that small micro-batches share. Its packs are in the order of their arrival.

    Attributes:
        next_pack: the index of the next pack.
    """

    segment: int
    size: int = 0
    next_pack: int = 0
    _entries: Entries = field(default_factory=lambda: np.empty(CAPACITY, ENTRY), repr=False)
    _keys: Hashes = field(default_factory=lambda: np.empty(CAPACITY, np.uint64), repr=False)

    @property
    def entries(self) -> Entries:
        """All its entries."""
        return self._entries[: self.size]

    def add(self, entries: Entries, keys: Keys) -> None:
        """Add entries in memory only."""
        end = self.size + len(entries)
        self._entries[self.size : end], self._keys[self.size : end] = entries, keys[:, 0]
        self.size = end

    def with_keys(self, keys: Keys) -> Entries:
        """Its entries that have one of these keys."""
        matching: Entries = self.entries[contained_in(self._keys[: self.size], np.sort(keys[:, 0]))]
        return matching
