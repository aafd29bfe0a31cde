"""Stores the event ids of a segment in packs: rows of ``seen_ids`` with up to 48 ids each.

An id in a row of its own would cost a row header, an index entry and their share of the write-ahead log: four times as
much as in a pack. The packs of a full segment are sorted by key. Their fence keys (the first key of each pack) are kept
in memory, and show which pack may contain an id.

"The same id" means here: the same event id in the same event hour.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from bytemeter.hashing import Mask
from bytemeter.sql import Statements
from speed_layer.dedup.filter import Indexes, Keys
from speed_layer.postgres.copying import copy_fixed

SQL = Statements(__package__, "seen_ids.sql")

# One id with the (partition, offset) and the content hash of the record that was counted; the hour counts from 1970.
# Integers are in PostgreSQL's byte order, so that an entry is copied without conversion.
ENTRY = np.dtype(
    [("id_hash", "<u8", (2,)), ("hour", ">i4"), ("partition", ">i4"), ("offset", ">i8"), ("content", ">i8")]
)
# Entries: four packs fill a page, and none is so large that PostgreSQL stores it outside its row.
_PACK_SIZE = 48
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)

# Rows of ENTRY.
Entries = npt.NDArray[np.void]
FenceKeys = npt.NDArray[np.uint64]


def keys_of(entries: Entries) -> Keys:
    """The keys of entries in filters; the first of the two integers also gives the order of a full segment's packs."""
    hours = entries["hour"].astype(np.uint64) * _GOLDEN_RATIO
    keys: Keys = np.bitwise_xor(entries["id_hash"], hours[:, np.newaxis])
    return keys


def append(connection: Connection, segment: int, entries: Entries, first_pack: int = 0) -> int:
    """Append entries to a segment.

    Args:
        first_pack: the index of the first new pack.

    Returns:
        The index after that of the last pack.
    """
    full_packs = len(entries) // _PACK_SIZE
    in_full_packs, remainder = np.split(entries, [full_packs * _PACK_SIZE])
    _copy_packs(connection, segment, in_full_packs, _PACK_SIZE, first_pack)
    _copy_packs(connection, segment, remainder, len(remainder), first_pack + full_packs)
    return first_pack + full_packs + bool(len(remainder))


def replace_sorted(connection: Connection, segment: int, entries: Entries) -> FenceKeys:
    """Replace the packs of a segment by packs of these entries, sorted by key. Returns their fence keys."""
    connection.execute(SQL["delete_packs"], {"segment": segment})
    keys = keys_of(entries)[:, 0]
    order = np.argsort(keys)
    append(connection, segment, entries[order])
    return keys[order[::_PACK_SIZE]]


def read_segment(connection: Connection, segment: int) -> Entries:
    """All entries of a segment."""
    return _concatenated(connection.scalars(SQL["packs_of_segment"], {"segment": segment}))


def read_packs(connection: Connection, packs_by_segment: Iterable[tuple[int, Indexes]]) -> Entries:
    """The entries of packs.

    Args:
        packs_by_segment: segments with indexes of their packs.
    """
    wanted = [(segment, pack) for segment, packs in packs_by_segment for pack in packs.tolist()]
    if not wanted:
        return np.empty(0, ENTRY)
    segments, packs = map(list, zip(*wanted, strict=True))
    return _concatenated(connection.scalars(SQL["packs_by_index"], {"segments": segments, "packs": packs}))


def candidate_packs(fences: FenceKeys, keys: Keys) -> Indexes:
    """The indexes of the packs of a full segment that may contain one of the keys, ascending.

    Args:
        fences: the segment's fence keys.
    """
    last = np.searchsorted(fences, keys[:, 0], "right") - 1
    covered_keys = keys[last >= 0]
    last = last[last >= 0]
    # Entries with equal keys may fill several packs, and begin within the pack before these.
    first = np.maximum(np.searchsorted(fences, covered_keys[:, 0], "left") - 1, 0)
    longest = int((last - first).max(initial=0))
    return np.unique(np.concatenate([np.minimum(first + step, last) for step in range(longest + 1)]))


def find_same_ids(stored: Entries, wanted: Entries) -> Indexes:
    """For each wanted entry the index of the stored entry with the same id; -1 if there is none.

    Different ids may have the same key, so the ids themselves are compared.
    """
    keys, wanted_keys = keys_of(stored)[:, 0], keys_of(wanted)[:, 0]
    order = np.argsort(keys)
    next_in_order = np.searchsorted(keys, wanted_keys, sorter=order)
    indexes = np.full(len(wanted), -1)
    pending = np.arange(len(wanted))
    while len(pending := pending[next_in_order[pending] < len(keys)]):
        compared = order[next_in_order[pending]]
        same = same_ids(stored[compared], wanted[pending])
        indexes[pending[same]] = compared[same]
        pending = pending[~same & (keys[compared] == wanted_keys[pending])]
        next_in_order[pending] += 1
    return indexes


def same_ids(left: Entries, right: Entries) -> Mask:
    """Compare two arrays of entries pair by pair: whether both have the same id."""
    same: Mask = (left["id_hash"] == right["id_hash"]).all(axis=1) & (left["hour"] == right["hour"])
    return same


def _copy_packs(connection: Connection, segment: int, entries: Entries, pack_size: int, first_pack: int) -> None:
    """Copy entries whose number is a multiple of the pack size."""
    if not len(entries):
        return
    packs = entries.view(f"V{pack_size * ENTRY.itemsize}")
    columns = {
        "segment": np.full(len(packs), segment, ">i4"),
        "pack": np.arange(first_pack, first_pack + len(packs), dtype=">i4"),
        "ids": packs,
    }
    copy_fixed(connection, "seen_ids", columns)


def _concatenated(packs: Iterable[memoryview]) -> Entries:
    return np.frombuffer(b"".join(packs), ENTRY)
