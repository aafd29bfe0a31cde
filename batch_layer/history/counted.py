"""Which records of the history the live query has counted, by partition and offset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bytemeter.hashing import contained_in
from bytemeter.history.reading import Split, read
from bytemeter.offset_log import Offsets

RowIndices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CountedOffsets:
    """What the live query has counted of a span of event time. It is sent to the executors: 8 bytes per refused record.

    Attributes:
        below: per partition the next offset of the ledger: records below it were counted or refused.
        refused: per partition, in order, the offsets of the duplicates and of the records that the clock refused.
    """

    below: Offsets
    refused: Mapping[int, npt.NDArray[np.int64]]

    def holds(self, records: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether each record was counted.

        Args:
            records: rows of at least partition: int and offset: long.
        """
        partitions, offsets = (records.column(name).to_numpy() for name in ("partition", "offset"))
        is_counted = np.zeros(len(offsets), bool)
        for partition, end in self.below.items():
            rows = np.flatnonzero((partitions == partition) & (offsets < end))
            if partition in self.refused:
                rows = rows[~contained_in(offsets[rows], self.refused[partition])]
            is_counted[rows] = True
        return is_counted


def counted_rows(
    splits: Iterable[Split], columns: pa.Schema, counted: CountedOffsets
) -> Iterator[tuple[Split, RowIndices, pa.Table]]:
    """Read the counted rows of splits, up to half a million at a time, with their indices in the file.

    Args:
        columns: the columns to read, partition and offset among them.
    """
    for split in splits:
        for first, rows in read(split, columns):
            kept = np.flatnonzero(counted.holds(rows))
            yield split, kept + first, rows if len(kept) == rows.num_rows else rows.take(kept)
