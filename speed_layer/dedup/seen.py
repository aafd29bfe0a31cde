"""The event ids of a feed that were counted, by event hour: looked up, stored, and forgotten behind the horizon.

What a large micro-batch has of an hour becomes a full segment of its own. Small ones share the open segment of the
hour; its ids are in memory, too, until a full one replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from bytemeter.errors import BytemeterError
from bytemeter.sql import Statements
from speed_layer.dedup import packs
from speed_layer.dedup.filter import CAPACITY, Indexes, Keys
from speed_layer.dedup.horizon import Horizon
from speed_layer.dedup.hours import HourIds
from speed_layer.dedup.identified import rows_by_hour
from speed_layer.dedup.packs import ENTRY, Addition, Entries
from speed_layer.dedup.segments import FullSegment, OpenSegment
from speed_layer.dedup.storing import SegmentStore

SQL = Statements(__package__, "seen_ids.sql")
# From so many ids of an hour on a micro-batch becomes a segment of its own.
_LARGE = CAPACITY // 4
# The most ids in open segments, of all hours together: 90 MB. More make the largest one a full segment.
_MOST_OPEN = 2 * CAPACITY
# The most bytes for filters and fence keys. More are freed, the oldest hours first.
_MOST_BYTES = 2**30
_NO_ROWS = np.empty(0, np.int64)
_NO_ENTRIES = np.empty(0, ENTRY)

# By event hour, since 1970, rows of keys or entries.
RowsByHour = Mapping[int, Indexes]


class _Replacement(NamedTuple):
    """An open segment of an hour, and the full segment that is being written in its place."""

    hour: int
    replaced: OpenSegment
    written: Future[FullSegment]


@dataclass
class SeenIds:
    """The ids of a feed within its horizon.

    Memory: see ``_MOST_OPEN`` and ``_MOST_BYTES``. Filters of the hours of which a micro-batch has many records stay
    in any case: 4.2 bytes for each id.

    Attributes:
        first_hour: the first event hour that is kept; None: all are.
    """

    horizon: Horizon
    first_hour: int | None = None
    _hours: dict[int, HourIds] = field(default_factory=dict, repr=False)
    # Segments of the time before ids were stored by hour.
    _mixed: HourIds | None = field(default=None, repr=False)
    _store: SegmentStore = field(init=False, repr=False)
    _being_written: list[Future[FullSegment]] = field(default_factory=list, repr=False)
    _replacements: list[_Replacement] = field(default_factory=list, repr=False)
    # Segments that were replaced in the present transaction or the one before.
    _replaced: list[int] = field(default_factory=list, repr=False)
    # Whether the horizon has moved in the present transaction or the one before, or this is the first one.
    _moved: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        self._store = SegmentStore(self.horizon.feed)

    @property
    def size(self) -> int:
        """Bytes that filters and fence keys take in memory."""
        return sum(ids.size for ids in self._hours.values())

    def load(self, connection: Connection) -> None:
        """Read which segments there are within the horizon, and the ids of open ones; remove uncounted segments."""
        self._store.remove_uncounted(connection)
        self.first_hour = self.horizon.hour(connection)
        for row in connection.execute(SQL["counted_segments"], {"feed": self.horizon.feed}).all():
            if self._is_passed(row.last_hour):
                continue
            if row.is_full:
                ids = self._hour(row.hour) if row.hour is not None else self._mixed_until(row.last_hour)
                ids.add_stored(FullSegment(row.segment, row.generation, row.hour))
            elif row.hour is not None:
                self._reopen(connection, row.segment, row.hour)
            else:
                self._store_by_hour(connection, row.segment, row.generation)
        self.finish(connection)

    def begin(self, connection: Connection) -> None:
        """Begin a transaction: move the horizon, and drop what nobody sees since the transaction before."""
        if self._replaced:
            self._store.remove(connection.engine, self._replaced)
            self._replaced = []
        if self._moved:
            self._store.drop_passed(connection.engine, self.horizon.era(self.first_hour))
        self.finish(connection)
        before, self.first_hour = self.first_hour, self.horizon.hour(connection)
        self._moved = self.first_hour != before
        if self._moved:
            self._hours = {hour: ids for hour, ids in self._hours.items() if not self._is_passed(hour)}
            if self._mixed and self._is_passed(self._mixed.last_hour):
                self._mixed = None

    def lookup(self, connection: Connection, keys: Keys, entries: Entries, rows: RowsByHour) -> tuple[Indexes, Entries]:
        """The rows whose ids were counted before, and for each the entry that was counted."""
        found = [(_NO_ROWS, _NO_ENTRIES)]
        for hour, of_hour in rows.items():
            for ids in self._asked(hour):
                candidates, stored = ids.lookup(connection, keys[of_hour])
                indexes = packs.find_same_ids(stored, entries[of_hour[candidates]])
                found.append((of_hour[candidates[indexes >= 0]], stored[indexes[indexes >= 0]]))
        self._free_memory(rows)
        seen_rows, seen_entries = zip(*found, strict=True)
        return np.concatenate(seen_rows), np.concatenate(seen_entries)

    def store(self, connection: Connection, keys: Keys, entries: Entries, rows: RowsByHour) -> None:
        """Store ids that were not counted before, by their hours. Call ``finish`` before the transaction ends."""
        small: dict[int, Indexes] = {}
        for hour, of_hour in rows.items():
            if len(of_hour) < _LARGE:
                small[hour] = of_hour
                continue
            for begin in range(0, len(of_hour), CAPACITY):
                of_segment = of_hour[begin : begin + CAPACITY]
                self._being_written.append(self._write(connection, hour, entries[of_segment], keys[of_segment]))
        self._append(connection, keys, entries, {hour: of_hour for hour, of_hour in small.items() if len(of_hour)})

    def finish(self, connection: Connection) -> None:
        """Wait until all ids are written; their segments become counted with the transaction of this connection."""
        written = [future.result() for future in self._being_written]
        self._being_written.clear()
        # The ids of the others are in open segments as well, so nothing has to wait for them.
        for replacement in [replacement for replacement in self._replacements if replacement.written.done()]:
            written.append(replacement.written.result())
            self._replacements.remove(replacement)
            self._replace(connection, replacement)
        if written:
            self._count(connection, written)

    def _is_passed(self, hour: int) -> bool:
        return self.first_hour is not None and hour < self.first_hour

    def _asked(self, hour: int) -> Iterator[HourIds]:
        """Where ids of an hour may be; none is in two of them."""
        if hour in self._hours:
            yield self._hours[hour]
        if self._mixed and hour <= self._mixed.last_hour:
            yield self._mixed

    def _free_memory(self, rows: RowsByHour) -> None:
        """Unload hours, the oldest first, while filters and fence keys take too much; hours with many records stay."""
        size = self.size
        for hour in sorted(self._hours):
            if size <= _MOST_BYTES:
                return
            if len(rows.get(hour, _NO_ROWS)) < _LARGE // 8:
                size -= self._hours[hour].size
                self._hours[hour].unload()

    def _append(self, connection: Connection, keys: Keys, entries: Entries, rows: RowsByHour) -> None:
        """Add ids to open segments."""
        for hour, of_hour in rows.items():
            opened = self._hour(hour).open
            if opened and opened.size + len(of_hour) > CAPACITY:
                self._begin_replacement(connection, hour)
        self._open(connection, [hour for hour in rows if self._hours[hour].open is None])
        additions = []
        for hour, of_hour in rows.items():
            shared = self._hours[hour].open
            assert shared is not None  # noqa: S101 - opened above
            additions.append(Addition(shared.segment, shared.next_pack, entries[of_hour]))
            shared.add(entries[of_hour], keys[of_hour])
            shared.next_pack = additions[-1].next_pack
        packs.append(connection, additions)
        self._replace_largest(connection)

    def _open(self, connection: Connection, hours: list[int]) -> None:
        if hours:
            columns = {"feed": self.horizon.feed, "hours": hours}
            for hour, segment in connection.execute(SQL["open_segments"], columns).all():
                self._hours[hour].open = OpenSegment(segment)

    def _replace_largest(self, connection: Connection) -> None:
        """Keep the number of ids in open segments bounded."""
        sizes = {hour: ids.open.size for hour, ids in self._hours.items() if ids.open}
        while sum(sizes.values()) > _MOST_OPEN:
            largest = max(sizes, key=sizes.__getitem__)
            self._begin_replacement(connection, largest)
            del sizes[largest]

    def _begin_replacement(self, connection: Connection, hour: int) -> None:
        """Write the ids of an hour's open segment as a full one; both have them until the full one is counted."""
        ids = self._hours[hour]
        if ids.open:
            written = self._write(connection, hour, ids.open.entries, packs.keys_of(ids.open.entries))
            self._replacements.append(_Replacement(hour, ids.open, written))
            ids.being_replaced.append(ids.open)
            ids.open = None

    def _write(self, connection: Connection, hour: int, entries: Entries, keys: Keys) -> Future[FullSegment]:
        return self._store.write(connection.engine, self.horizon.era(self.first_hour), hour, entries, keys)

    def _count(self, connection: Connection, written: list[FullSegment]) -> None:
        segments = [segment.segment for segment in written]
        if connection.execute(SQL["count_segments"], {"segments": segments}).rowcount != len(segments):
            raise BytemeterError(
                f"segments {segments} of the ids of {self.horizon.feed} are gone before their records were counted: "
                "another process has counted the feed; let only one process count it, and restart this one"
            )
        for segment in written:
            if segment.hour is not None and not self._is_passed(segment.hour):
                self._hour(segment.hour).add_written(segment)

    def _replace(self, connection: Connection, replacement: _Replacement) -> None:
        connection.execute(SQL["replace_segment"], {"segment": replacement.replaced.segment})
        self._replaced.append(replacement.replaced.segment)
        if replacement.hour in self._hours:
            self._hours[replacement.hour].being_replaced.remove(replacement.replaced)

    def _hour(self, hour: int) -> HourIds:
        return self._hours.setdefault(hour, HourIds(hour))

    def _mixed_until(self, last_hour: int) -> HourIds:
        if self._mixed is None:
            self._mixed = HourIds(last_hour)
        self._mixed.last_hour = max(self._mixed.last_hour, last_hour)
        return self._mixed

    def _reopen(self, connection: Connection, segment: int, hour: int) -> None:
        """Read an open segment; one that was being replaced when the process ended is so again."""
        self._hour(hour)
        self._begin_replacement(connection, hour)
        entries = packs.read_segment(connection, None, segment)
        # Each pack has at least one entry, so this index is not in use.
        reopened = OpenSegment(segment, next_pack=len(entries))
        reopened.add(entries, packs.keys_of(entries))
        self._hours[hour].open = reopened

    def _store_by_hour(self, connection: Connection, segment: int, generation: int) -> None:
        """Store the ids of an open segment of the time before generations by their hours."""
        entries = packs.read_segment(connection, generation, segment)
        entries = entries[entries["hour"] >= (self.first_hour or 0)]
        self.store(connection, packs.keys_of(entries), entries, rows_by_hour(entries))
        connection.execute(SQL["replace_segment"], {"segment": segment})
