"""The records of a micro-batch that have an event id, prepared before it is known which ids were counted before.

"The same id" means here: the same event id in the same event hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bytemeter.hashing import Integers, Mask, occurs_repeatedly
from speed_layer.dedup import packs
from speed_layer.dedup.filter import Indexes, Keys
from speed_layer.dedup.packs import ENTRY, Entries

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class IdentifiedRecords:
    """The records of a micro-batch that have an event id; entries, event_us and keys have a row per record.

    Attributes:
        entries: what is stored of each record (see ``packs.ENTRY``).
        event_us: event time, microseconds since 1970.
        keys: see ``packs.keys_of``.
        duplicate_rows: the rows that duplicate another row of this micro-batch, one with a lower (partition, offset).
        first_rows: for each of these, the row of the same id with the lowest (partition, offset).
        rows_by_hour: the rows of each event hour, hours ascending.
    """

    entries: Entries
    event_us: Indexes
    keys: Keys
    duplicate_rows: Indexes
    first_rows: Indexes
    rows_by_hour: dict[int, Indexes]

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
        duplicate_rows, first_rows = _duplicates_within(entries, keys)
        return IdentifiedRecords(entries, event_us, keys, duplicate_rows, first_rows, rows_by_hour(entries))

    def before(self, first_hour: int | None) -> Mask:
        """Whether the event hour of each record is before this hour, since 1970; None is before all."""
        return np.zeros(len(self.entries), bool) if first_hour is None else self.entries["hour"] < first_hour


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


def rows_by_hour(entries: Entries) -> dict[int, Indexes]:
    """The rows of each event hour, hours ascending."""
    if not len(entries):
        return {}
    hours: Integers = entries["hour"].astype(np.int32)
    since_first = hours - hours.min()
    # Integers of 16 bits are sorted in linear time.
    order = np.argsort(since_first.astype(np.uint16) if since_first.max() < 2**16 else since_first, kind="stable")
    begins = np.flatnonzero(np.diff(hours[order]))
    return {int(hours[rows[0]]): rows for rows in np.split(order, begins + 1)}
