"""Stores the event ids of a segment in packs: rows of ``seen_ids``, or of a generation's table, of up to 48 ids each.

An id in a row of its own would cost a row header, an index entry and their share of the write-ahead log: four times as
much as in a pack. The packs of a full segment are sorted by key. Their fence keys (the first key of each pack) are kept
in memory, and show which pack may contain an id.

"The same id" means here: the same event id in the same event hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, Integer, LargeBinary, TableClause, and_, any_, bindparam, column, func, select, table
from sqlalchemy.dialects.postgresql import array

from bytemeter.hashing import Mask
from speed_layer.dedup.filter import Indexes, Keys
from speed_layer.postgres.copying import copy_fixed, read_bytes

# One id with the (partition, offset) and the content hash of the record that was counted; the hour counts from 1970.
# Integers are in PostgreSQL's byte order, so that an entry is copied without conversion.
ENTRY = np.dtype(
    [("id_hash", "<u8", (2,)), ("hour", ">i4"), ("partition", ">i4"), ("offset", ">i8"), ("content", ">i8")]
)
# Entries: four packs fill a page, and none is so large that PostgreSQL stores it outside its row.
_PACK_SIZE = 48
# The filter and the fence keys of a full segment stand with its packs, so that they are dropped with them.
_FILTER, _FENCES = -1, -2
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)

# Rows of ENTRY.
Entries = npt.NDArray[np.void]
FenceKeys = npt.NDArray[np.uint64]


def keys_of(entries: Entries) -> Keys:
    """The keys of entries in filters; the first of the two integers also gives the order of a full segment's packs."""
    hours = entries["hour"].astype(np.uint64) * _GOLDEN_RATIO
    keys: Keys = np.bitwise_xor(entries["id_hash"], hours[:, np.newaxis])
    return keys


class Addition(NamedTuple):
    """Ids that are appended to an open segment; its packs get the indexes from ``first_pack`` on."""

    segment: int
    first_pack: int
    entries: Entries

    @property
    def next_pack(self) -> int:
        """The index after that of the last pack."""
        return self.first_pack + -(-len(self.entries) // _PACK_SIZE)


def append(connection: Connection, additions: Sequence[Addition]) -> None:
    """Append to open segments, all by one COPY."""
    if not additions:
        return
    begins = [np.arange(0, len(addition.entries), _PACK_SIZE) for addition in additions]
    counts = [len(of_segment) for of_segment in begins]
    sizes = [np.diff(of_segment, append=len(a.entries)) for of_segment, a in zip(begins, additions, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]) * ENTRY.itemsize
    ids = b"".join(addition.entries.tobytes() for addition in additions)
    packs = pa.Array.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets.astype("<i4")), pa.py_buffer(ids)]
    )
    columns = {
        "segment": np.repeat(np.array([addition.segment for addition in additions], ">i4"), counts),
        # NumPy concatenates in the machine's byte order.
        "pack": np.concatenate([np.arange(a.first_pack, a.next_pack) for a in additions]).astype(">i4"),
    }
    copy_fixed(connection, table_of(None), columns, {"ids": pa.chunked_array([packs])})


def write_sorted(
    connection: Connection, generation: int, segment: int, entries: Entries, keys: Keys, stored_filter: bytes
) -> FenceKeys:
    """Write a full segment: its packs, sorted by key, its filter and its fence keys. Returns the fence keys."""
    order = np.argsort(keys[:, 0])
    in_order = entries[order]
    fences: FenceKeys = keys[order[::_PACK_SIZE], 0]
    full_packs = len(entries) // _PACK_SIZE
    in_full_packs, remainder = np.split(in_order, [full_packs * _PACK_SIZE])
    target = table_of(generation)
    _copy_packs(connection, target, segment, in_full_packs, _PACK_SIZE, 0)
    _copy_packs(connection, target, segment, remainder, len(remainder), full_packs)
    for pack, content in ((_FILTER, stored_filter), (_FENCES, fences.tobytes())):
        row = {"segment": np.array([segment], ">i4"), "pack": np.array([pack], ">i4")}
        copy_fixed(connection, target, row, {"ids": pa.chunked_array([pa.array([content], pa.binary())])})
    return fences


def read_fences(connection: Connection, generation: int, segment: int) -> FenceKeys:
    """The fence keys of a full segment that ``write_sorted`` wrote."""
    return np.frombuffer(_read_pack(connection, generation, segment, _FENCES), np.uint64)


def read_filter(connection: Connection, generation: int, segment: int) -> bytes:
    """The filter of a full segment that ``write_sorted`` wrote."""
    return _read_pack(connection, generation, segment, _FILTER)


def read_segment(connection: Connection, generation: int | None, segment: int) -> Entries:
    """All entries of a segment, in any order."""
    of = _columns_of(generation)
    return _concatenated(connection.scalars(select(of.c.ids).where(of.c.segment == segment, of.c.pack >= 0)))


def read_packs(connection: Connection, generation: int | None, packs: Iterable[tuple[int, Indexes]]) -> Entries:
    """The entries of packs of full segments of one generation.

    Args:
        packs: segments with indexes of their packs.
    """
    wanted = [(segment, pack) for segment, of_segment in packs for pack in of_segment.tolist()]
    if not wanted:
        return np.empty(0, ENTRY)
    segments, indexes = map(list, zip(*wanted, strict=True))
    of = _columns_of(generation)
    values = func.unnest(bindparam("segments", segments), bindparam("packs", indexes))
    rows = values.table_valued(column("segment", Integer), column("pack", Integer)).render_derived(name="wanted")
    # "any(array[...])" makes PostgreSQL look each pack up by the index, whatever its statistics say (see
    # speed_layer/postgres/lookups.py).
    found = and_(of.c.segment == any_(array([rows.c.segment])), of.c.pack == rows.c.pack)
    return _concatenated(connection.scalars(select(of.c.ids).select_from(rows.join(of, found))))


def delete_segments(connection: Connection, generation: int | None, segments: Sequence[int]) -> None:
    """Delete all packs of segments."""
    if not segments:
        return
    of = _columns_of(generation)
    connection.execute(of.delete().where(of.c.segment == any_(array(segments))))


def table_of(generation: int | None) -> str:
    """The name of the table of a generation; None: of segments to which ids are still added."""
    return "seen_ids" if generation is None else f"seen_ids_{generation:d}"


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


def _copy_packs(
    connection: Connection, target: str, segment: int, entries: Entries, pack_size: int, first_pack: int
) -> None:
    """Copy entries whose number is a multiple of the pack size."""
    if not len(entries):
        return
    packs = entries.view(f"V{pack_size * ENTRY.itemsize}")
    columns = {
        "segment": np.full(len(packs), segment, ">i4"),
        "pack": np.arange(first_pack, first_pack + len(packs), dtype=">i4"),
        "ids": packs,
    }
    copy_fixed(connection, target, columns)


def _read_pack(connection: Connection, generation: int, segment: int, pack: int) -> bytes:
    of = _columns_of(generation)
    query = select(of.c.ids).where(of.c.segment == segment, of.c.pack == pack)
    # The query has its parameters as literals: COPY takes none.
    (content,) = read_bytes(connection, str(query.compile(compile_kwargs={"literal_binds": True})))
    assert content is not None  # noqa: S101 - the column is not null
    return content


def _columns_of(generation: int | None) -> TableClause:
    return table(table_of(generation), column("segment", Integer), column("pack", Integer), column("ids", LargeBinary))


def _concatenated(packs: Iterable[memoryview]) -> Entries:
    return np.frombuffer(b"".join(packs), ENTRY)
