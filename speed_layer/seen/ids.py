"""Which records of a micro-batch repeat an id that was counted before, exactly.

``seen_ids`` is a log in segments of at most ``CAPACITY`` ids. A large micro-batch becomes a segment of its own, whose
index is built at once over all of it, which costs a fifth of entering each id; small ones share a segment. A filter in
memory (see ``speed_layer.seen.filter``) answers for nearly all ids that they are new; the few others are looked up in
the segments in which they may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, text

from speed_layer.copying import copy, copy_fixed
from speed_layer.seen.filter import CAPACITY, IdFilter, Keys, Numbers

HOUR_US = 3_600_000_000
_LARGE = CAPACITY // 4
# Microseconds from 1970 to 2000, from where PostgreSQL counts.
_EPOCH_US = 946_684_800_000_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

TEMPORARY_TABLES = """
create temporary table candidates (
    number integer not null,
    segment integer not null,
    hour_us bigint not null,
    id_hash uuid not null
) on commit delete rows
"""


class Position(NamedTuple):
    """Where the first record with an id stands, and its content."""

    partition: int
    offset: int
    content: int


@dataclass(frozen=True)
class Identified:
    """Records that carry an event id; arrays of equal length.

    Attributes:
        id_hash: two numbers that together are the 16 bytes of the id's hash.
        event_us: event time, microseconds since 1970.
        content: hash of what must be equal in a repeat.
    """

    id_hash: Keys
    event_us: Numbers
    partition: npt.NDArray[np.int32]
    offset: Numbers
    content: Numbers

    @staticmethod
    def of(rows: pa.Table) -> Identified:
        """Of rows of id_hash: binary (16 bytes), event_us, record_offset, content_hash: long and partition: int."""
        hashes = rows.column("id_hash").cast(pa.binary(16)).combine_chunks()
        return Identified(
            np.frombuffer(hashes.buffers()[1], "<u8").reshape(-1, 2) if len(hashes) else np.empty((0, 2), "<u8"),
            *(rows.column(name).to_numpy() for name in ("event_us", "partition", "record_offset", "content_hash")),
        )

    @cached_property
    def hour_us(self) -> Numbers:
        """The hour of the event time; with the id it is what identifies a record."""
        return self.event_us // HOUR_US * HOUR_US

    def keys(self) -> Keys:
        """Ids and hours as keys of the filter."""
        return _keys(self.id_hash, self.hour_us)

    def position(self, number: int) -> Position:
        """Where a record stands."""
        return Position(int(self.partition[number]), int(self.offset[number]), int(self.content[number]))


@dataclass
class SeenIds:
    """The ids of a feed that were counted.

    Its memory follows the transactions of one connection; after one that was rolled back it is of no use.
    """

    feed: str
    _filter: IdFilter = field(default_factory=IdFilter, repr=False)
    _open: int | None = None
    _room: int = 0

    def load(self, connection: Connection) -> None:
        """Read the filters of all segments, and make the session's temporary table."""
        connection.exec_driver_sql(TEMPORARY_TABLES)
        for segment, count in connection.execute(_SEGMENTS, {"feed": self.feed}).all():
            stored = connection.scalar(_FILTER, {"segment": segment})
            self._filter.add_segment(segment, stored)
            if stored is None:
                packed = connection.scalar(_IDS, {"segment": segment}) or b""
                ids = np.frombuffer(packed, np.dtype([("id_hash", "<u8", 2), ("hour_us", ">i8")]))
                self._filter.add(segment, _keys(ids["id_hash"], ids["hour_us"].astype(np.int64)))
                if count >= CAPACITY:
                    self._seal(connection, segment)
                else:
                    self._open, self._room = segment, CAPACITY - count

    def set_apart(self, connection: Connection, records: Identified) -> npt.NDArray[np.bool_]:
        """Which of the records are repeats: same id and same hour of event time; the ids of the others are remembered.

        The first counted stays, of equal ids in one micro-batch the lowest (partition, offset). Repeats are listed in
        ``duplicate_events``, as conflicts where the content differs.
        """
        keys = records.keys()
        firsts = self._seen(connection, records, keys)
        for first, *others in _groups(records, keys):
            known = firsts.get(first) or records.position(first)
            firsts |= dict.fromkeys(others, known)
        repeated = np.zeros(len(keys), bool)
        repeated[list(firsts)] = True
        self._remember(connection, records, keys, np.flatnonzero(~repeated))
        self._list(connection, records, firsts)
        return repeated

    def _seen(self, connection: Connection, records: Identified, keys: Keys) -> dict[int, Position]:
        """The records whose ids were counted before, by their numbers."""
        numbers, segments = self._filter.candidates(keys)
        if not len(numbers):
            return {}
        columns = {
            "number": numbers.astype(">i4"),
            "segment": segments.astype(">i4"),
            "hour_us": records.hour_us[numbers].astype(">i8"),
            "id_hash": _as_uuid(records.id_hash[numbers]),
        }
        copy_fixed(connection, "candidates", columns)
        connection.execute(_BY_INDEX)
        found = connection.execute(_LOOK_UP).all()
        connection.execute(_ANY_PLAN)
        return {number: Position(*position) for number, *position in found}

    def _remember(self, connection: Connection, records: Identified, keys: Keys, new: Numbers) -> None:
        for begin in range(0, len(new), CAPACITY):
            numbers = new[begin : begin + CAPACITY]
            large = len(numbers) >= _LARGE
            segment = self._create(connection) if large else self._with_room(connection, len(numbers))
            columns = {
                "segment": np.full(len(numbers), segment, ">i4"),
                "hour": (records.hour_us[numbers] - _EPOCH_US).astype(">i8"),
                "id_hash": _as_uuid(records.id_hash[numbers]),
                "partition": records.partition[numbers].astype(">i4"),
                "record_offset": records.offset[numbers].astype(">i8"),
                "content_hash": records.content[numbers].astype(">i8"),
            }
            copy_fixed(connection, f"seen_ids_{segment}", columns)
            self._filter.add(segment, keys[numbers])
            connection.execute(_ADDED, {"segment": segment, "ids": len(numbers)})
            if large:
                self._seal(connection, segment)
                connection.execute(_INDEX, {"segment": segment})

    def _with_room(self, connection: Connection, count: int) -> int:
        """The segment that small micro-batches share: its index is there from the beginning."""
        if self._open is None or self._room < count:
            if self._open is not None:
                self._seal(connection, self._open)
            self._open, self._room = self._create(connection), CAPACITY
            connection.execute(_INDEX, {"segment": self._open})
        self._room -= count
        return self._open

    def _create(self, connection: Connection) -> int:
        segment = int(connection.scalars(_CREATE, {"feed": self.feed}).one())
        self._filter.add_segment(segment)
        return segment

    def _seal(self, connection: Connection, segment: int) -> None:
        connection.execute(_SEAL, {"segment": segment, "filter": self._filter.of_segment(segment)})

    def _list(self, connection: Connection, records: Identified, firsts: dict[int, Position]) -> None:
        if not firsts:
            return
        numbers = np.fromiter(firsts, np.int64)
        partitions, offsets, contents = (np.array(part) for part in zip(*firsts.values(), strict=True))
        listed = {
            "feed": pa.array([self.feed] * len(numbers)),
            "partition": records.partition[numbers],
            "record_offset": records.offset[numbers],
            "event_time": pa.array(records.event_us[numbers] // 1_000_000, pa.timestamp("s", "UTC")),
            "first_partition": partitions,
            "first_offset": offsets,
            "conflict": contents != records.content[numbers],
        }
        copy(connection, "duplicate_events", pa.table(listed))


def _groups(records: Identified, keys: Keys) -> Iterator[list[int]]:
    """Numbers of records with the same id and hour, of each group the lowest position first."""
    order = np.argsort(keys[:, 0], kind="stable")
    equal = keys[order[1:], 0] == keys[order[:-1], 0]
    alike = order[np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for number in alike.tolist():
        identity = (*records.id_hash[number].tolist(), int(records.hour_us[number]))
        groups.setdefault(identity, []).append(number)
    for group in groups.values():
        if len(group) > 1:
            yield sorted(group, key=records.position)


def _keys(id_hash: Keys, hour_us: Numbers) -> Keys:
    hours = (hour_us // HOUR_US).astype(np.uint64) * _GOLDEN
    return id_hash ^ np.stack([hours, hours], axis=1)


def _as_uuid(id_hash: Keys) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(id_hash).view("V16").reshape(-1)


_SEGMENTS = text("select segment, ids from seen_segments where feed = :feed order by segment")
_FILTER = text("select filter from seen_segments where segment = :segment")
_IDS = text("""
select string_agg(uuid_send(id_hash) || int8send(cast(extract(epoch from hour) * 1000000 as bigint)), '')
from seen_ids
where segment = :segment
""")
_CREATE = text("select create_seen_segment(:feed)")
_INDEX = text("select index_seen_segment(:segment)")
_ADDED = text("update seen_segments set ids = ids + :ids where segment = :segment")
_SEAL = text("update seen_segments set filter = :filter where segment = :segment")

# One segment's index for each candidate; the session has no sequential scans.
_BY_INDEX = text("""
set local enable_hashjoin = off; set local enable_mergejoin = off
""")
_ANY_PLAN = text("""
set local enable_hashjoin = on; set local enable_mergejoin = on
""")
_LOOK_UP = text("""
select c.number, s.partition, s.record_offset, s.content_hash
from candidates as c
inner join seen_ids as s on s.segment = c.segment and s.id_hash = c.id_hash
where s.hour = to_timestamp(c.hour_us / 1000000)
""")
