"""Which records of the history the live query has counted, by their positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bytemeter.hashing import contained_in
from bytemeter.history.reading import Split, read
from bytemeter.offset_log import Offsets

RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CountedOffsets:
    """What the live query has counted of a span. It goes to the executors: 8 bytes for each refused record.

    Attributes:
        below: per partition the offset up to which it had come.
        refused: per partition the offsets that it refused, in order: repeats, and times that the clock refused.
    """

    below: Offsets
    refused: Mapping[int, npt.NDArray[np.int64]]

    def holds(self, records: pa.Table) -> npt.NDArray[np.bool_]:
        """Which of the records (partition: int, offset: long) were counted."""
        partitions, offsets = (records.column(name).to_numpy() for name in ("partition", "offset"))
        found = np.zeros(len(offsets), bool)
        for partition, end in self.below.items():
            here = np.flatnonzero((partitions == partition) & (offsets < end))
            if partition in self.refused:
                here = here[~contained_in(offsets[here], self.refused[partition])]
            found[here] = True
        return found


def counted_rows(
    share: Iterable[Split], columns: pa.Schema, counted: CountedOffsets
) -> Iterator[tuple[Split, RowNumbers, pa.Table]]:
    """The rows of some splits that were counted, some hundred thousand at a time, with their numbers in the file.

    Args:
        columns: partition and offset among them.
    """
    for split in share:
        for first, rows in read(split, columns):
            kept = np.flatnonzero(counted.holds(rows))
            yield split, kept + first, rows if len(kept) == rows.num_rows else rows.take(kept)
