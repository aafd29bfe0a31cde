"""Which records of a micro-batch repeat an id that was counted before, exactly.

``seen_ids`` is a log in segments of at most ``CAPACITY`` ids. A large micro-batch becomes a full segment of its own;
small ones share an open one, whose ids are in memory, too, until it is full. A filter in memory (see
``speed_layer.dedup.filter``) answers for nearly all ids that they are new; the few others are looked up in the segments
in which they may be.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from bytemeter.hashing import Hashes, contained_in, occurs_repeatedly
from speed_layer.dedup import packs
from speed_layer.dedup.filter import CAPACITY, Keys, Numbers, SegmentFilter
from speed_layer.dedup.packs import ENTRY, Entries, Fences
from speed_layer.postgres.copying import copy, read_bytes

HOUR_US = 3_600_000_000
_LARGE = CAPACITY // 4


@dataclass(frozen=True)
class IdentifiedRecords:
    """Records that carry an event id; arrays of equal length.

    Attributes:
        entries: id and position of each, as they are remembered; the content is a hash of what must be equal in a
            repeat.
        event_us: event time, microseconds since 1970.
        keys: see ``packs.keys_of``.
        again, firsts: numbers of those whose id and hour another one has, too, of a lower position, and for each the
            number of the one with the lowest.
    """

    entries: Entries
    event_us: Numbers
    keys: Keys
    again: Numbers
    firsts: Numbers

    @staticmethod
    def of(rows: pa.Table) -> IdentifiedRecords:
        """Of rows of id_hash: binary (16 bytes), event_us, record_offset, content_hash: long and partition: int."""
        entries = np.empty(rows.num_rows, ENTRY)
        event_us = rows.column("event_us").to_numpy()
        if rows.num_rows:
            hashes = rows.column("id_hash").cast(pa.binary(16)).combine_chunks()
            entries["id_hash"] = np.frombuffer(hashes.buffers()[1], "<u8").reshape(-1, 2)
        entries["hour"] = event_us // HOUR_US
        entries["partition"] = rows.column("partition").to_numpy()
        entries["offset"] = rows.column("record_offset").to_numpy()
        entries["content"] = rows.column("content_hash").to_numpy()
        keys = packs.keys_of(entries)
        return IdentifiedRecords(entries, event_us, keys, *_again(entries, keys))


class _Sealed(NamedTuple):
    """A full segment: the first key of each of its packs, and its filter."""

    segment: int
    fences: Fences
    filter: bytes


@dataclass
class _Open:
    """A segment that small micro-batches share. Its packs are in the order of their arrival."""

    segment: int
    count: int = 0
    next_pack: int = 0
    _entries: Entries = field(default_factory=lambda: np.empty(CAPACITY, ENTRY), repr=False)
    _keys: Hashes = field(default_factory=lambda: np.empty(CAPACITY, np.uint64), repr=False)

    @property
    def entries(self) -> Entries:
        """What is in it."""
        return self._entries[: self.count]

    def add(self, entries: Entries, keys: Keys) -> None:
        end = self.count + len(entries)
        self._entries[self.count : end], self._keys[self.count : end] = entries, keys[:, 0]
        self.count = end

    def with_keys(self, keys: Keys) -> Entries:
        """Those of its entries that may have one of the keys."""
        matching: Entries = self.entries[contained_in(self._keys[: self.count], np.sort(keys[:, 0]))]
        return matching


@dataclass
class Deduplicator:
    """The ids of a feed that were counted.

    It follows the transactions of one connection; after one that was rolled back it is of no use. Its memory is 2.1 MiB
    for each full segment, and 24 MiB for the open one.

    The ids of a large micro-batch are written by a thread with a connection of its own, while the transaction goes on.
    Their segment is ``counted`` with the transaction: until then nobody has seen them, and the feed's next start
    removes what never came to it.
    """

    feed: str
    _filter: SegmentFilter = field(default_factory=SegmentFilter, repr=False)
    _fences: dict[int, Fences] = field(default_factory=dict, repr=False)
    _open: _Open | None = field(default=None, repr=False)
    _beside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ids"), repr=False)
    _sealing: list[Future[_Sealed]] = field(default_factory=list, repr=False)

    def load(self, connection: Connection) -> None:
        """Read the filters of full segments, and the ids of the open one; remove what was never counted."""
        connection.execute(_REMOVE_UNCOUNTED, {"feed": self.feed})
        for (segment,) in connection.execute(_SEGMENTS, {"feed": self.feed}).all():
            stored, fences = read_bytes(connection, f"{_SEALED} {segment:d}")
            self._filter.add_segment(segment, stored)
            if fences is not None:
                self._fences[segment] = np.frombuffer(fences, np.uint64)
            else:
                self._go_on_with(connection, segment, packs.read(connection, segment))

    def find_duplicates(self, connection: Connection, records: IdentifiedRecords) -> npt.NDArray[np.bool_]:
        """Which of the records are repeats: same id and same hour of event time; the ids of the others are remembered.

        The first counted stays, of equal ids in one micro-batch the lowest (partition, offset). Repeats are listed in
        ``duplicate_events``, as conflicts where the content differs. Before the transaction ends, ``finish`` is called.
        """
        self.finish(connection)
        counted, before = self._seen(connection, records)
        # Of an id that was counted before all records are known to be repeats.
        new = ~np.isin(records.again, counted)
        repeats = np.concatenate([counted, records.again[new]])
        repeated = np.zeros(len(records.entries), bool)
        repeated[repeats] = True
        self._remember(connection, records.entries[~repeated], records.keys[~repeated])
        self._list(connection, records, repeats, np.concatenate([before, records.entries[records.firsts[new]]]))
        return repeated

    def finish(self, connection: Connection) -> None:
        """Wait until all ids are written; with the transaction they become seen."""
        while self._sealing:
            self._keep(connection, self._sealing.pop(0).result())

    def _seen(self, connection: Connection, records: IdentifiedRecords) -> tuple[Numbers, Entries]:
        """The records whose ids were counted before, by their numbers, and what was counted."""
        keys = records.keys
        numbers, segments = self._filter.candidates(keys)
        if not len(numbers):
            return numbers, np.empty(0, ENTRY)
        chosen = [
            (segment, packs.packs_with(self._fences[segment], keys[numbers[segments == segment]]))
            for segment in np.unique(segments).tolist()
            if segment in self._fences
        ]
        before = packs.read_packs(connection, chosen)
        if self._open:
            before = np.concatenate([before, self._open.with_keys(keys[numbers])])
        candidates = np.unique(numbers)
        found = packs.find(before, records.entries[candidates])
        return candidates[found >= 0], before[found[found >= 0]]

    def _remember(self, connection: Connection, entries: Entries, keys: Keys) -> None:
        for begin in range(0, len(entries), CAPACITY):
            some, their_keys = entries[begin : begin + CAPACITY], keys[begin : begin + CAPACITY]
            if len(some) >= _LARGE:
                self._sealing.append(self._beside.submit(self._write_beside, connection.engine, some, their_keys))
            else:
                # The filter is changed by one thread at a time.
                self.finish(connection)
                shared = self._with_room(connection, len(some))
                self._filter.add(shared.segment, their_keys)
                shared.next_pack = packs.write(connection, shared.segment, some, shared.next_pack)
                shared.add(some, their_keys)

    def _with_room(self, connection: Connection, count: int) -> _Open:
        if self._open and self._open.count + count > CAPACITY:
            self._keep(connection, self._seal(connection, self._open.segment, self._open.entries))
            self._open = None
        if self._open is None:
            self._open = _Open(self._create(connection, counted=True))
        return self._open

    def _go_on_with(self, connection: Connection, segment: int, entries: Entries) -> None:
        """Take a segment that is not in order yet as the open one, if it has room and there is none."""
        keys = packs.keys_of(entries)
        self._filter.add(segment, keys)
        if self._open or len(entries) >= CAPACITY:
            self._keep(connection, self._seal(connection, segment, entries))
        else:
            # No pack is empty: so high no number was given.
            self._open = _Open(segment, next_pack=len(entries))
            self._open.add(entries, keys)

    def _create(self, connection: Connection, *, counted: bool) -> int:
        segment = int(connection.scalars(_CREATE, {"feed": self.feed, "counted": counted}).one())
        self._filter.add_segment(segment)
        return segment

    def _write_beside(self, engine: Engine, entries: Entries, keys: Keys) -> _Sealed:
        """Make a full segment that is not counted yet, in a transaction of its own."""
        with engine.begin() as connection:
            segment = self._create(connection, counted=False)
            self._filter.add(segment, keys)
            return self._seal(connection, segment, entries)

    def _seal(self, connection: Connection, segment: int, entries: Entries) -> _Sealed:
        """Write all packs of a segment, in order."""
        return _Sealed(segment, packs.write_in_order(connection, segment, entries), self._filter.of_segment(segment))

    def _keep(self, connection: Connection, sealed: _Sealed) -> None:
        self._fences[sealed.segment] = sealed.fences
        stored = {"filter": sealed.filter, "fences": sealed.fences.tobytes()}
        connection.execute(_SEAL, {"segment": sealed.segment, **stored})

    def _list(self, connection: Connection, records: IdentifiedRecords, numbers: Numbers, firsts: Entries) -> None:
        """List repeats, given by their numbers, with the first record of each one's id."""
        repeats = records.entries[numbers]
        listed = {
            "feed": pa.array([self.feed] * len(numbers), pa.string()),
            "partition": repeats["partition"].astype(np.int32),
            "record_offset": repeats["offset"].astype(np.int64),
            "event_time": pa.array(records.event_us[numbers] // 1_000_000, pa.timestamp("s", "UTC")),
            "first_partition": firsts["partition"].astype(np.int32),
            "first_offset": firsts["offset"].astype(np.int64),
            "conflict": firsts["content"] != repeats["content"],
        }
        copy(connection, "duplicate_events", pa.table(listed))


def _again(entries: Entries, keys: Keys) -> tuple[Numbers, Numbers]:
    """Numbers of entries whose id and hour another one has, too, of a lower position; for each that of the lowest."""
    order = np.argsort(keys[:, 0], kind="stable")
    several = order[occurs_repeatedly(keys[order, 0])]
    some = entries[several]
    low, high = some["id_hash"].T
    in_order = np.lexsort((some["offset"], some["partition"], some["hour"], high, low))
    several, some = several[in_order], some[in_order]
    first = np.ones(len(some), bool)
    first[1:] = ~packs.alike(some[1:], some[:-1])
    first_of_each = several[np.maximum.accumulate(np.where(first, np.arange(len(some)), 0))]
    return several[~first], first_of_each[~first]


_REMOVE_UNCOUNTED = text("""
with lost as (delete from seen_segments where feed = :feed and not counted returning segment)

delete from seen_ids where segment in (select segment from lost)
""")
_SEGMENTS = text("select segment from seen_segments where feed = :feed and counted order by segment")
_SEALED = "select filter, fences from seen_segments where segment ="
_CREATE = text("insert into seen_segments (feed, counted) values (:feed, :counted) returning segment")
_SEAL = text("update seen_segments set filter = :filter, fences = :fences, counted = true where segment = :segment")
