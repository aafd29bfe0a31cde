"""Which records of the history the live query has counted, by their positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, text

from batch_layer.spans import Span
from bytemeter.feeds import Feed
from bytemeter.hashing import are_among
from bytemeter.history import Piece, read
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors

RowNumbers = npt.NDArray[np.int64]

_AT_ONCE = 100_000
_NONE = np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class Counted:
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
                here = here[~are_among(offsets[here], self.refused[partition])]
            found[here] = True
        return found


def counted(connection: Connection, feed: Feed, span: Span, below: Offsets) -> Counted:
    """What the live query has counted of a span, up to the offsets of a snapshot.

    Raises:
        TransientError: PostgreSQL could not be reached.
    """
    within = {"feed": feed.name, "since": span.since, "until": span.until}
    with one_line_errors(connection.engine.url), connection.begin():
        rows = connection.execute(_REFUSED, within, execution_options={"yield_per": _AT_ONCE})
        some = [np.array([tuple(row) for row in page], np.int64) for page in rows.partitions()]
    partitions, offsets = np.concatenate([_NONE, *some]).T
    return Counted(below, {p: np.sort(offsets[partitions == p]) for p in np.unique(partitions).tolist()})


def counted_rows(
    share: Iterable[Piece], columns: pa.Schema, counted: Counted
) -> Iterator[tuple[Piece, RowNumbers, pa.Table]]:
    """The rows of some pieces that were counted, some hundred thousand at a time, with their numbers in the file.

    Args:
        columns: partition and offset among them.
    """
    for piece in share:
        for first, rows in read(piece, columns):
            kept = np.flatnonzero(counted.holds(rows))
            yield piece, kept + first, rows if len(kept) == rows.num_rows else rows.take(kept)


_REFUSED = text("""
select partition, record_offset
from refused_events
where feed = :feed and event_time >= :since and event_time < :until
""")
