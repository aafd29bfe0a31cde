"""Finds duplicates exactly: the records of a micro-batch whose event id was counted before in the same event hour.

The ids that were counted are stored in ``seen_ids``, in segments of up to ``CAPACITY`` ids. A large micro-batch becomes
a full segment of its own. Small ones share the open segment; its ids are in memory, too, until it is full. For nearly
all ids the filters in memory (``speed_layer.dedup.filter``) show that they are new. The few other ids are looked up in
the segments that may contain them.

"The same id" means here: the same event id in the same event hour.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Engine

from bytemeter.hashing import Mask, occurs_repeatedly
from bytemeter.sql import Statements
from speed_layer.dedup import packs
from speed_layer.dedup.filter import CAPACITY, Indexes, Keys, SegmentFilter
from speed_layer.dedup.packs import ENTRY, Entries, FenceKeys
from speed_layer.dedup.segments import FullSegment, OpenSegment
from speed_layer.postgres.copying import copy, read_bytes

HOUR_US = 3_600_000_000

SQL = Statements(__package__, "seen_ids.sql")
# From so many ids on a micro-batch becomes a segment of its own.
_LARGE = CAPACITY // 4


@dataclass(frozen=True)
class IdentifiedRecords:
    """The records of a micro-batch that have an event id; entries, event_us and keys have a row per record.

    Attributes:
        entries: what is stored of each record (see ``packs.ENTRY``).
        event_us: event time, microseconds since 1970.
        keys: see ``packs.keys_of``.
        duplicate_rows: the rows that duplicate another row of this micro-batch, one with a lower (partition, offset).
        first_rows: for each of these, the row of the same id with the lowest (partition, offset).
    """

    entries: Entries
    event_us: Indexes
    keys: Keys
    duplicate_rows: Indexes
    first_rows: Indexes

    @staticmethod
    def of(rows: pa.Table) -> IdentifiedRecords:
        """Prepare records with the columns of ``speed_layer.executor.accounts.identity``."""
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
        return IdentifiedRecords(entries, event_us, keys, *_duplicates_within(entries, keys))


@dataclass
class Deduplicator:
    """The event ids of a feed that were counted.

    It follows the transactions of one connection. After a rollback it must be discarded: it still knows the ids of that
    transaction. Memory: 2.1 MiB for each full segment, 24 MiB for the open one.

    The ids of a large micro-batch are written by another thread and connection, in a transaction that commits before
    that of the micro-batch. Their segment becomes ``counted`` only with the micro-batch; the next start of the feed
    removes segments that did not.
    """

    feed: str
    _filter: SegmentFilter = field(default_factory=SegmentFilter, repr=False)
    _fences: dict[int, FenceKeys] = field(default_factory=dict, repr=False)
    _open: OpenSegment | None = field(default=None, repr=False)
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ids"), repr=False)
    _being_written: list[Future[FullSegment]] = field(default_factory=list, repr=False)

    def load(self, connection: Connection) -> None:
        """Read the filters of full segments and the ids of the open one; remove segments that were not counted."""
        connection.execute(SQL["remove_uncounted_segments"], {"feed": self.feed})
        for segment in connection.scalars(SQL["counted_segments"], {"feed": self.feed}).all():
            stored_filter, fences = read_bytes(connection, _filter_and_fences(segment))
            self._filter.add_segment(segment, stored_filter)
            if fences is not None:
                self._fences[segment] = np.frombuffer(fences, np.uint64)
            else:
                self._reopen(connection, segment, packs.read_segment(connection, segment))

    def find_duplicates(self, connection: Connection, records: IdentifiedRecords) -> Mask:
        """For each record whether it is a duplicate; the ids of the other records are stored.

        Of equal ids the one counted first stays; within one micro-batch that is the one with the lowest (partition,
        offset). Duplicates are listed in ``duplicate_events``, as conflicts where the content differs. Call ``finish``
        before the transaction ends.
        """
        self.finish(connection)
        seen_rows, seen_entries = self._find_seen(connection, records)
        # All rows of an id that was counted before are among seen_rows already.
        of_new_ids = ~np.isin(records.duplicate_rows, seen_rows)
        duplicate_rows = np.concatenate([seen_rows, records.duplicate_rows[of_new_ids]])
        first_entries = np.concatenate([seen_entries, records.entries[records.first_rows[of_new_ids]]])
        is_duplicate = np.zeros(len(records.entries), bool)
        is_duplicate[duplicate_rows] = True
        self._store(connection, records.entries[~is_duplicate], records.keys[~is_duplicate])
        self._list_duplicates(connection, records, duplicate_rows, first_entries)
        return is_duplicate

    def finish(self, connection: Connection) -> None:
        """Wait until all ids are written; their segments become counted with the transaction of this connection."""
        while self._being_written:
            self._add_full(connection, self._being_written.pop(0).result())

    def _find_seen(self, connection: Connection, records: IdentifiedRecords) -> tuple[Indexes, Entries]:
        """The rows whose ids were counted before, and for each the entry that was counted."""
        rows, segments = self._filter.candidates(records.keys)
        if not len(rows):
            return rows, np.empty(0, ENTRY)
        packs_by_segment = [
            (segment, packs.candidate_packs(self._fences[segment], records.keys[rows[segments == segment]]))
            for segment in np.unique(segments).tolist()
            if segment in self._fences
        ]
        stored = packs.read_packs(connection, packs_by_segment)
        if self._open:
            stored = np.concatenate([stored, self._open.with_keys(records.keys[rows])])
        candidate_rows = np.unique(rows)
        indexes = packs.find_same_ids(stored, records.entries[candidate_rows])
        return candidate_rows[indexes >= 0], stored[indexes[indexes >= 0]]

    def _store(self, connection: Connection, all_entries: Entries, all_keys: Keys) -> None:
        for begin in range(0, len(all_entries), CAPACITY):
            entries, keys = all_entries[begin : begin + CAPACITY], all_keys[begin : begin + CAPACITY]
            if len(entries) >= _LARGE:
                self._being_written.append(
                    self._writer.submit(self._write_in_own_transaction, connection.engine, entries, keys)
                )
            else:
                # Only one thread at a time may change the filter.
                self.finish(connection)
                shared = self._open_with_room(connection, len(entries))
                self._filter.add(shared.segment, keys)
                shared.next_pack = packs.append(connection, shared.segment, entries, shared.next_pack)
                shared.add(entries, keys)

    def _open_with_room(self, connection: Connection, count: int) -> OpenSegment:
        if self._open and self._open.size + count > CAPACITY:
            self._add_full(connection, self._write_sorted(connection, self._open.segment, self._open.entries))
            self._open = None
        if self._open is None:
            self._open = OpenSegment(self._create(connection, counted=True))
        return self._open

    def _reopen(self, connection: Connection, segment: int, entries: Entries) -> None:
        """Use a stored segment without fence keys as the open one; complete it if it is full or another one is open."""
        keys = packs.keys_of(entries)
        self._filter.add(segment, keys)
        if self._open or len(entries) >= CAPACITY:
            self._add_full(connection, self._write_sorted(connection, segment, entries))
        else:
            # Each pack has at least one entry, so this index is not in use.
            self._open = OpenSegment(segment, next_pack=len(entries))
            self._open.add(entries, keys)

    def _create(self, connection: Connection, *, counted: bool) -> int:
        segment = int(connection.scalars(SQL["create_segment"], {"feed": self.feed, "counted": counted}).one())
        self._filter.add_segment(segment)
        return segment

    def _write_in_own_transaction(self, engine: Engine, entries: Entries, keys: Keys) -> FullSegment:
        """Write a full segment that is not counted yet, in a transaction of its own."""
        with engine.begin() as connection:
            segment = self._create(connection, counted=False)
            self._filter.add(segment, keys)
            return self._write_sorted(connection, segment, entries)

    def _write_sorted(self, connection: Connection, segment: int, entries: Entries) -> FullSegment:
        """Write all packs of a segment, sorted."""
        fences = packs.replace_sorted(connection, segment, entries)
        return FullSegment(segment, fences, self._filter.to_bytes(segment))

    def _add_full(self, connection: Connection, full: FullSegment) -> None:
        """Store the filter and the fence keys of a full segment, and mark it as counted."""
        self._fences[full.segment] = full.fences
        columns = {"segment": full.segment, "filter": full.filter, "fences": full.fences.tobytes()}
        connection.execute(SQL["mark_segment_full"], columns)

    def _list_duplicates(
        self, connection: Connection, records: IdentifiedRecords, duplicate_rows: Indexes, first_entries: Entries
    ) -> None:
        """Append duplicates to ``duplicate_events``, each with the record that was counted."""
        duplicates = records.entries[duplicate_rows]
        columns = {
            "feed": pa.array([self.feed] * len(duplicates), pa.string()),
            "partition": duplicates["partition"].astype(np.int32),
            "record_offset": duplicates["offset"].astype(np.int64),
            "event_time": pa.array(records.event_us[duplicate_rows] // 1_000_000, pa.timestamp("s", "UTC")),
            "first_partition": first_entries["partition"].astype(np.int32),
            "first_offset": first_entries["offset"].astype(np.int64),
            "conflict": first_entries["content"] != duplicates["content"],
        }
        copy(connection, "duplicate_events", pa.table(columns))


def _duplicates_within(entries: Entries, keys: Keys) -> tuple[Indexes, Indexes]:
    """The duplicate rows and their first rows within one micro-batch, see ``IdentifiedRecords``."""
    by_key = np.argsort(keys[:, 0], kind="stable")
    rows = by_key[occurs_repeatedly(keys[by_key, 0])]
    candidates = entries[rows]
    low, high = candidates["id_hash"].T
    in_order = np.lexsort((candidates["offset"], candidates["partition"], candidates["hour"], high, low))
    rows, candidates = rows[in_order], candidates[in_order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = ~packs.same_ids(candidates[1:], candidates[:-1])
    first_rows = rows[np.maximum.accumulate(np.where(is_first, np.arange(len(rows)), 0))]
    return rows[~is_first], first_rows[~is_first]


def _filter_and_fences(segment: int) -> str:
    """The query with its parameter as a literal: COPY takes no parameters."""
    query = SQL["filter_and_fences"].bindparams(segment=segment)
    return str(query.compile(compile_kwargs={"literal_binds": True}))
