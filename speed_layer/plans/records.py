"""The data records of a micro-batch in the driver's memory: without duplicates, and added up by MSISDN."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.hashing import occurs_repeatedly
from speed_layer.dedup.identified import IdentifiedRecords

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Records:
    """Data records, prepared before it is known which of them were counted in earlier micro-batches.

    Attributes:
        rows: the valid records, see ``speed_layer.executor.plans.record_parts``.
        identified: their ids.
        totals: by MSISDN (see ``by_msisdn``), without records that are duplicates of one in the same micro-batch.
    """

    rows: pa.Table = field(repr=False)
    identified: IdentifiedRecords = field(repr=False)
    totals: pa.Table = field(repr=False)

    @staticmethod
    def of(rows: pa.Table) -> Records:
        """Prepare the valid records of a micro-batch."""
        identified = IdentifiedRecords.of(rows)
        first = np.ones(rows.num_rows, bool)
        first[identified.duplicate_rows] = False
        return Records(rows, identified, by_msisdn(rows.filter(pa.array(first))))

    def without(self, duplicates: Mask) -> NewRecords:
        """The records that are no duplicates.

        Only MSISDNs are added up again that have duplicates of records of earlier micro-batches, or records that equal
        one of this micro-batch and count nevertheless, behind the horizon.
        """
        judged_otherwise = duplicates.copy()
        judged_otherwise[self.identified.duplicate_rows] ^= True
        if not judged_otherwise.any():
            return NewRecords(self.rows, duplicates, self.totals)
        changed = pc.unique(self.rows.column("msisdn").filter(pa.array(judged_otherwise)))
        unchanged = self.totals.filter(pc.invert(pc.is_in(self.totals.column("msisdn"), changed)))
        added_up_again = by_msisdn(NewRecords(self.rows, duplicates, unchanged).of(changed))
        return NewRecords(self.rows, duplicates, pa.concat_tables([unchanged, added_up_again]))


@dataclass(frozen=True)
class NewRecords:
    """Data records that are to be counted.

    Attributes:
        totals: of all of them, by MSISDN (see ``by_msisdn``).
    """

    _rows: pa.Table = field(repr=False)
    _duplicates: Mask = field(repr=False)
    totals: pa.Table = field(repr=False)

    def of(self, msisdns: pa.Array | pa.ChunkedArray) -> pa.Table:
        """The records of these MSISDNs; see ``speed_layer.executor.plans.record_parts``."""
        if not len(msisdns):
            return self._rows.slice(0, 0)
        chosen = pc.is_in(self._rows.column("msisdn"), msisdns)
        return self._rows.filter(pc.and_not(chosen, pa.array(self._duplicates)))


def msisdn_key(msisdn: str) -> int:
    """An MSISDN as an integer, by which it is sorted and searched fast. A leading zero makes another key."""
    return int(f"1{msisdn}")


def by_msisdn(records: pa.Table) -> pa.Table:
    """Add up the records of each MSISDN.

    Args:
        records: see ``speed_layer.executor.plans.record_parts``.

    Returns:
        Rows of msisdn: string, msisdn_key: long (see ``msisdn_key``), first_us, last_us: long (first and last event
        time), bytes: long (their sum) and latest_record: string, the internal_id of the last record in the order of
        (event_us, internal_id).
    """
    keys = pc.binary_join_element_wise("1", records.column("msisdn"), "").cast(pa.int64()).to_numpy()
    order = np.argsort(keys)
    keys = keys[order]
    begins = np.flatnonzero(np.diff(keys, prepend=-1))
    times = records.column("event_us").to_numpy()[order]
    last_us = np.maximum.reduceat(times, begins)
    at_last = np.flatnonzero(times == np.repeat(last_us, np.diff(begins, append=len(keys))))
    return pa.table(
        {
            "msisdn": records.column("msisdn").take(order[begins]),
            "msisdn_key": keys[begins],
            "first_us": np.minimum.reduceat(times, begins),
            "last_us": last_us,
            "bytes": np.add.reduceat(records.column("bytes").to_numpy()[order], begins),
            "latest_record": _greatest(keys[at_last], records.column("internal_id").take(order[at_last])),
        }
    )


def _greatest(keys: npt.NDArray[np.int64], internal_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """For each MSISDN the greatest internal_id, compared byte by byte; equal keys stand together."""
    several = np.flatnonzero(occurs_repeatedly(keys))
    order = np.arange(len(keys))
    if len(several):
        rows = pa.table({"key": keys[several], "internal_id": internal_ids.take(several)})
        in_order = pc.sort_indices(rows, [("key", "ascending"), ("internal_id", "ascending")])
        order[several] = several[in_order.to_numpy()]
    return internal_ids.take(order[np.flatnonzero(np.diff(keys, append=-1))])
