"""The ids of a segment in PostgreSQL, many to a row.

An id in a row of its own costs the row's header, an index entry and their share of the log: four times as much as in a
pack. The packs of a full segment are in the order of their keys; the first key of each is kept in memory, and tells in
which pack an id is.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from speed_layer.dedup.filter import Keys, Numbers
from speed_layer.postgres.copying import copy_fixed

# Numbers are stored as PostgreSQL sends them.
ENTRY = np.dtype(
    [("id_hash", "<u8", (2,)), ("hour", ">i4"), ("partition", ">i4"), ("offset", ">i8"), ("content", ">i8")]
)
# Four packs to a page, none of them outside of its row.
_PACK = 48
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

# Rows of ENTRY.
Entries = npt.NDArray[np.void]
Fences = npt.NDArray[np.uint64]


def keys_of(entries: Entries) -> Keys:
    """What stands for an id and its hour, in filters and in the order of packs."""
    hours = entries["hour"].astype(np.uint64) * _GOLDEN
    keys: Keys = np.bitwise_xor(entries["id_hash"], hours[:, np.newaxis])
    return keys


def write(connection: Connection, segment: int, entries: Entries, first_pack: int = 0) -> int:
    """Append entries to a segment in packs that are numbered from the one given; returns the number after the last."""
    full = len(entries) // _PACK
    for pack, size, those in (
        (first_pack, _PACK, entries[: full * _PACK]),
        (first_pack + full, len(entries) % _PACK, entries[full * _PACK :]),
    ):
        if len(those):
            packed = those.view(f"V{size * ENTRY.itemsize}")
            columns = {
                "segment": np.full(len(packed), segment, ">i4"),
                "pack": np.arange(pack, pack + len(packed), dtype=">i4"),
                "ids": packed,
            }
            copy_fixed(connection, "seen_ids", columns)
    return first_pack + -(-len(entries) // _PACK)


def write_in_order(connection: Connection, segment: int, entries: Entries) -> Fences:
    """Make a segment of these entries and no others; returns the first key of each of its packs."""
    connection.execute(_CLEAR, {"segment": segment})
    keys = keys_of(entries)[:, 0]
    order = np.argsort(keys)
    write(connection, segment, entries[order])
    return keys[order[::_PACK]]


def read(connection: Connection, segment: int) -> Entries:
    """All entries of a segment."""
    return _joined(connection.scalars(_ALL, {"segment": segment}))


def read_packs(connection: Connection, packs: Iterable[tuple[int, Numbers]]) -> Entries:
    """The entries of some packs, given by their segments."""
    numbers = [(segment, pack) for segment, those in packs for pack in those.tolist()]
    if not numbers:
        return np.empty(0, ENTRY)
    segments, of_segments = map(list, zip(*numbers, strict=True))
    return _joined(connection.scalars(_SOME, {"segments": segments, "packs": of_segments}))


def packs_with(fences: Fences, keys: Keys) -> Numbers:
    """In which packs of a full segment the keys may be."""
    last = np.searchsorted(fences, keys[:, 0], "right") - 1
    keys_left = keys[last >= 0]
    last = last[last >= 0]
    # Equal keys may begin in a pack and go on in the next ones.
    first = np.maximum(np.searchsorted(fences, keys_left[:, 0], "left") - 1, 0)
    most = int((last - first).max(initial=0))
    return np.unique(np.concatenate([np.minimum(first + step, last) for step in range(most + 1)]))


def find(entries: Entries, wanted: Entries) -> Numbers:
    """For each wanted entry the number of that with the same id and hour; -1 without one."""
    keys, wanted_keys = keys_of(entries)[:, 0], keys_of(wanted)[:, 0]
    order = np.argsort(keys)
    at = np.searchsorted(keys, wanted_keys, sorter=order)
    found = np.full(len(wanted), -1)
    left = np.arange(len(wanted))
    while len(left := left[at[left] < len(keys)]):
        those = order[at[left]]
        same = alike(entries[those], wanted[left])
        found[left[same]] = those[same]
        left = left[~same & (keys[those] == wanted_keys[left])]
        at[left] += 1
    return found


def alike(some: Entries, others: Entries) -> npt.NDArray[np.bool_]:
    """Which of them, pair by pair, have the same id and hour."""
    same: npt.NDArray[np.bool_] = (some["id_hash"] == others["id_hash"]).all(axis=1) & (some["hour"] == others["hour"])
    return same


def _joined(packs: Iterable[memoryview]) -> Entries:
    return np.frombuffer(b"".join(packs), ENTRY)


_CLEAR = text("delete from seen_ids where segment = :segment")
_ALL = text("select ids from seen_ids where segment = :segment")
# About "any" see ``speed_layer.postgres.lookups``.
_SOME = text("""
select s.ids
from unnest(cast(:segments as integer []), cast(:packs as integer [])) as wanted (segment, pack)
inner join seen_ids as s on s.segment = any(array[wanted.segment]) and s.pack = wanted.pack
""")
