"""Whose the records of a number are: for which billing period of which agreement they count.

``plan_segments`` knows, for each stretch of time. Those of the present are read at the start, and what was asked since
stays in memory: so a micro-batch asks PostgreSQL only of numbers, and stretches of time, that are new to the process.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, text

from speed_layer.plans.records import number
from speed_layer.postgres.copying import copy_fixed, read_fixed
from speed_layer.postgres.lookups import no_nested_loops

Integers = npt.NDArray[np.int64]

NO_OWNER = -1
_MOST = 4_000_000


@dataclass(frozen=True)
class Segments:
    """Stretches of time in which a number's records count for one billing period, in the order of (number, from_us).

    Attributes:
        numbers: see ``speed_layer.plans.records.number``.
        from_us, until_us: [from, until) in microseconds since 1970; a segment that is forgotten ends before it begins.
        usage_ids: of rows of ``data_plan_usage``.
    """

    numbers: Integers
    from_us: Integers
    until_us: Integers
    usage_ids: Integers

    def __len__(self) -> int:
        return len(self.numbers)

    @staticmethod
    def merged(*several: Segments) -> Segments:
        """All of them together, without the forgotten ones."""
        numbers, from_us, until_us, usage_ids = (
            np.concatenate([getattr(segments, name) for segments in several])
            for name in ("numbers", "from_us", "until_us", "usage_ids")
        )
        order = np.lexsort((from_us, numbers))
        order = order[from_us[order] < until_us[order]]
        return Segments(numbers[order], from_us[order], until_us[order], usage_ids[order])

    def find(self, numbers: Integers, first_us: Integers, last_us: Integers) -> Integers:
        """The usage_id of the segment that has all of a number's time from first to last, or ``NO_OWNER``."""
        found = np.full(len(numbers), NO_OWNER, np.int64)
        at = np.searchsorted(self.numbers, numbers, side="right") - 1
        asked = np.flatnonzero(at >= 0)
        while len(asked := asked[(at[asked] >= 0) & (self.numbers[at[asked]] == numbers[asked])]):
            here = at[asked]
            within = (self.from_us[here] <= first_us[asked]) & (last_us[asked] < self.until_us[here])
            found[asked[within]] = self.usage_ids[here[within]]
            asked = asked[~within]
            at[asked] -= 1
        return found

    def forget(self, numbers: Integers) -> None:
        """Leave these numbers out from now on."""
        firsts, ends = (np.searchsorted(self.numbers, numbers, side=side) for side in ("left", "right"))
        there = firsts < ends
        for first, end in zip(firsts[there].tolist(), ends[there].tolist(), strict=True):
            self.until_us[first:end] = self.from_us[first:end] - 1


@dataclass
class OwnerLookup:
    """Finds the owners of numbers.

    It follows the transactions of one connection, the only one that changes ``plan_segments``; after one that was
    rolled back it is of no use. Its memory is 32 bytes for each segment that it knows, at most 128 MB.
    """

    # Each at least twice as long as the next one: few to ask, and seldom merged.
    _known: list[Segments] = field(default_factory=list, repr=False)

    def load(self, connection: Connection) -> None:
        """Read the segments that reach to where the feed has come, all at once."""
        connection.exec_driver_sql("set local enable_seqscan = on")
        self._remember(_read(connection, _CURRENT.format(most=_MOST)))

    def find(self, connection: Connection, totals: pa.Table) -> Integers:
        """For each number the usage_id of the period that has all of its records, or ``NO_OWNER``.

        ``NO_OWNER``, too, where the records are not all of one period, and where the period has no row yet.

        Args:
            totals: see ``speed_layer.plans.records.by_number``.
        """
        found = self._recall(totals)
        unknown = np.flatnonzero(found == NO_OWNER)
        if len(unknown):
            asked = totals.take(unknown)
            numbers = {name: asked.column(name).to_numpy().astype(">i8") for name in ("number", "first_us", "last_us")}
            copy_fixed(connection, "by_number", numbers, {"msisdn": asked.column("msisdn")})
            with no_nested_loops(connection):
                self._remember(_read(connection, _OF_NUMBERS))
            found[unknown] = self._recall(asked)
        return found

    def forget(self, connection: Connection, msisdns: Collection[str]) -> None:
        """Forget the segments of numbers whose agreements or periods have changed; they are made anew when needed."""
        connection.execute(_FORGET, {"msisdns": list(msisdns)})
        numbers = np.array([number(msisdn) for msisdn in msisdns], np.int64)
        for segments in self._known:
            segments.forget(numbers)

    def _recall(self, totals: pa.Table) -> Integers:
        numbers, first_us, last_us = (totals.column(name).to_numpy() for name in ("number", "first_us", "last_us"))
        found = np.full(len(numbers), NO_OWNER, np.int64)
        for segments in self._known:
            asked = np.flatnonzero(found == NO_OWNER)
            found[asked] = segments.find(numbers[asked], first_us[asked], last_us[asked])
        return found

    def _remember(self, segments: Segments) -> None:
        if sum(map(len, self._known)) + len(segments) > _MOST:
            self._known.clear()
        while self._known and len(self._known[-1]) < 2 * len(segments):
            segments = Segments.merged(self._known.pop(), segments)
        if len(segments):
            self._known.append(segments)


def _read(connection: Connection, query: str) -> Segments:
    return Segments.merged(Segments(*read_fixed(connection, query, columns=4)))


# Segments that reach to where the feed has come.
_CURRENT = """
select cast('1' || msisdn as bigint), served_from_us, served_until_us, usage_id
from plan_segments
where usage_id is not null and served_until_us > coalesce(
    (select to_us(min(latest_event_time)) from ledger where feed = 'data-records'), 0
)
limit {most:d}
"""

# The segment that has all records of a number. About "any" see ``speed_layer.postgres.lookups``.
_OF_NUMBERS = """
select n.number, s.served_from_us, s.served_until_us, s.usage_id
from by_number as n
inner join plan_segments as s
    on s.msisdn = n.msisdn and s.served_from_us <= n.first_us and n.last_us < s.served_until_us
where s.usage_id is not null and s.msisdn = any(array(select msisdn from by_number))
"""

_FORGET = text("delete from plan_segments where msisdn = any(cast(:msisdns as text []))")
