"""The data records of a micro-batch, as the driver has them: by number, without repeats, one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.hashing import occurs_repeatedly
from speed_layer.dedup.ids import IdentifiedRecords

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Records:
    """Data records with what can be told of them before it is known which of them were counted before.

    Attributes:
        rows: valid ones, see ``speed_layer.executor.plans.record_parts``.
        identified: their ids.
        totals: by number (see ``by_number``), of all but those that repeat one before them in the micro-batch.
    """

    rows: pa.Table = field(repr=False)
    identified: IdentifiedRecords = field(repr=False)
    totals: pa.Table = field(repr=False)

    @staticmethod
    def of(rows: pa.Table) -> Records:
        """Make rows ready to be counted."""
        identified = IdentifiedRecords.of(rows)
        first = np.ones(rows.num_rows, bool)
        first[identified.again] = False
        return Records(rows, identified, by_number(rows.filter(pa.array(first))))

    def without(self, repeats: Mask) -> NewRecords:
        """Those that are no repeats. Only numbers with records that were counted before are added up again."""
        before = repeats.copy()
        before[self.identified.again] = False
        if not before.any():
            return NewRecords(self.rows, repeats, self.totals)
        msisdns = pc.unique(self.rows.column("msisdn").filter(pa.array(before)))
        others = self.totals.filter(pc.invert(pc.is_in(self.totals.column("msisdn"), msisdns)))
        again = by_number(_new(self.rows, repeats, msisdns))
        return NewRecords(self.rows, repeats, pa.concat_tables([others, again]))


@dataclass(frozen=True)
class NewRecords:
    """Data records that are to be counted.

    Attributes:
        totals: of all of them, by number (see ``by_number``).
    """

    _rows: pa.Table = field(repr=False)
    _repeats: Mask = field(repr=False)
    totals: pa.Table = field(repr=False)

    def of(self, msisdns: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Those of some numbers; see ``speed_layer.executor.plans.record_parts``."""
        return _new(self._rows, self._repeats, msisdns)


def number(msisdn: str) -> int:
    """A number as an integer, by which it is sorted and looked up fast; a leading zero makes it another one."""
    return int(f"1{msisdn}")


def by_number(records: pa.Table) -> pa.Table:
    """All records of each number together.

    Args:
        records: see ``speed_layer.executor.plans.record_parts``.

    Returns:
        Rows of msisdn: string, number: long (see ``number``), first_us, last_us: long (event times), bytes: long (their
        sum) and latest: string, the internal_id of the last record in the order of (recordedAt, internalId).
    """
    all_numbers = pc.binary_join_element_wise("1", records.column("msisdn"), "").cast(pa.int64()).to_numpy()
    order = np.argsort(all_numbers)
    numbers = all_numbers[order]
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    times = records.column("event_us").to_numpy()[order]
    last_us = np.maximum.reduceat(times, first)
    at_last = np.flatnonzero(times == np.repeat(last_us, np.diff(first, append=len(numbers))))
    return pa.table(
        {
            "msisdn": records.column("msisdn").take(order[first]),
            "number": numbers[first],
            "first_us": np.minimum.reduceat(times, first),
            "last_us": last_us,
            "bytes": np.add.reduceat(records.column("value").to_numpy()[order], first),
            "latest": _latest(numbers[at_last], records.column("internal_id").take(order[at_last])),
        }
    )


def _latest(numbers: npt.NDArray[np.int64], internal_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Of the records of each number, which stand together and have the same time, the last internal_id."""
    several = np.flatnonzero(occurs_repeatedly(numbers))
    order = np.arange(len(numbers))
    if len(several):
        some = pa.table({"number": numbers[several], "internal_id": internal_ids.take(several)})
        sorted_ = pc.sort_indices(some, [("number", "ascending"), ("internal_id", "ascending")])
        order[several] = several[sorted_.to_numpy()]
    return internal_ids.take(order[np.flatnonzero(np.diff(numbers, append=-1))])


def as_records(records: pa.Table) -> pa.Table:
    """Records as rows of the temporary table ``records``: in the order of order_key come (recordedAt, internalId)."""
    kept = records.select(["partition", "record_offset", "event_us", "value", "msisdn"])
    return kept.append_column("order_key", _order_key(records))


def _order_key(records: pa.Table) -> pa.ChunkedArray:
    times = pc.utf8_lpad(records.column("event_us").cast(pa.string()), 16, padding="0")
    return pc.binary_join_element_wise(times, records.column("internal_id"), "")


def _new(rows: pa.Table, repeats: Mask, msisdns: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows of some numbers that are no repeats."""
    if not len(msisdns):
        return rows.slice(0, 0)
    return rows.filter(pc.and_not(pc.is_in(rows.column("msisdn"), msisdns), pa.array(repeats)))
