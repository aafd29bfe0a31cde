"""The event ids of one hour in memory: where they are stored, and as much of it as lookups need.

The filters of an hour are read once many of its ids were asked for. Before that, as for hours to which only few late
records come, fence keys give one pack of each segment that may hold an id: slower for each id, but a start reads no
filter, and an hour without records costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from bytemeter.sql import Statements
from speed_layer.dedup import packs
from speed_layer.dedup.filter import Candidates, Indexes, Keys, SegmentFilter, joined
from speed_layer.dedup.packs import ENTRY, Entries, FenceKeys
from speed_layer.dedup.segments import FullSegment, OpenSegment
from speed_layer.postgres.copying import read_bytes

SQL = Statements(__package__, "seen_ids.sql")
# To read a filter takes as long as some five hundred lookups of packs in its segment.
_MOST_WITHOUT_FILTERS = 500

_NO_ROWS = np.empty(0, np.int64)


@dataclass
class HourIds:
    """The segments of one event hour, or those of the time before generations, which hold ids of several hours.

    Attributes:
        last_hour: the last event hour of its ids.
        open: the segment to which ids are added.
        being_replaced: earlier open segments whose ids are being written as full ones.
    """

    last_hour: int
    open: OpenSegment | None = None
    being_replaced: list[OpenSegment] = field(default_factory=list)
    _generations: dict[int, int] = field(default_factory=dict, repr=False)
    _mixed: set[int] = field(default_factory=set, repr=False)
    _fences: dict[int, FenceKeys] = field(default_factory=dict, repr=False)
    # By the size of their filters. None: not read.
    _filters: dict[int, SegmentFilter] | None = field(default_factory=dict, repr=False)
    _asked: int = 0

    @property
    def size(self) -> int:
        """Bytes that ``unload`` frees."""
        filters = sum(filter_.size for filter_ in self._filters.values()) if self._filters else 0
        return filters + sum(fences.nbytes for fences in self._fences.values())

    def add_stored(self, stored: FullSegment) -> None:
        """Add a segment that was written earlier; nothing of it is read yet."""
        self._generations[stored.segment] = stored.generation
        if stored.hour is None:
            self._mixed.add(stored.segment)
        self._filters = None

    def add_written(self, written: FullSegment) -> None:
        """Add a segment that was written just now."""
        self._generations[written.segment] = written.generation
        if written.fences is not None:
            self._fences[written.segment] = written.fences
        if self._filters is not None and written.filter is not None:
            self._add_filter(written.segment, written.filter)

    def unload(self) -> None:
        """Free what can be read again."""
        self._filters, self._asked = None, 0
        self._fences.clear()

    def lookup(self, connection: Connection, keys: Keys) -> tuple[Indexes, Entries]:
        """The rows of the keys that the hour may contain, and entries: all that have one of these keys, and others."""
        opens = [*self.being_replaced, *([self.open] if self.open else [])]
        found = [segment.lookup(keys) for segment in opens]
        if self._generations:
            found.append(self._lookup_full(connection, keys))
        rows, entries = zip(*found, strict=True) if found else ((_NO_ROWS,), (np.empty(0, ENTRY),))
        return np.unique(np.concatenate(rows)), np.concatenate(entries)

    def _lookup_full(self, connection: Connection, keys: Keys) -> tuple[Indexes, Entries]:
        rows, segments = self._candidates(connection, keys)
        by_generation: dict[int, list[tuple[int, Indexes]]] = {}
        for segment in np.unique(segments).tolist():
            wanted = packs.candidate_packs(self._fences_of(connection, segment), keys[rows[segments == segment]])
            by_generation.setdefault(self._generations[segment], []).append((segment, wanted))
        read = [packs.read_packs(connection, *wanted) for wanted in by_generation.items()]
        return rows, np.concatenate([np.empty(0, ENTRY), *read])

    def _candidates(self, connection: Connection, keys: Keys) -> Candidates:
        self._asked += len(keys)
        if self._filters is None and (self._asked > _MOST_WITHOUT_FILTERS or self._mixed):
            self._load_filters(connection)
        if self._filters is not None:
            return joined([filter_.candidates(keys) for filter_ in self._filters.values()])
        segments = np.fromiter(self._generations, np.int64)
        return Candidates(np.tile(np.arange(len(keys)), len(segments)), np.repeat(segments, len(keys)))

    def _load_filters(self, connection: Connection) -> None:
        self._filters = {}
        for segment, generation in self._generations.items():
            if segment in self._mixed:
                stored, fences = read_bytes(connection, _filter_of_mixed(segment))
                assert stored is not None and fences is not None  # noqa: S101, PT018 - full segments have both
                self._fences[segment] = np.frombuffer(fences, np.uint64)
            else:
                stored = packs.read_filter(connection, generation, segment)
            self._add_filter(segment, stored)

    def _add_filter(self, segment: int, stored: bytes) -> None:
        assert self._filters is not None  # noqa: S101 - the callers have looked
        bits = 8 * len(stored)
        self._filters.setdefault(bits, SegmentFilter(bits)).add_segment(segment, stored)

    def _fences_of(self, connection: Connection, segment: int) -> FenceKeys:
        if segment not in self._fences:
            self._fences[segment] = packs.read_fences(connection, self._generations[segment], segment)
        return self._fences[segment]


def _filter_of_mixed(segment: int) -> str:
    """The query with its parameter as a literal: COPY takes no parameters."""
    query = SQL["filter_of_mixed"].bindparams(segment=segment)
    return str(query.compile(compile_kwargs={"literal_binds": True}))
