"""Which records the live query has counted, by their positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, text

from batch_layer.spans import Span
from bytemeter.feeds import Feed
from bytemeter.hashing import are_among
from bytemeter.offset_log import Offsets


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
    """What the live query has counted of a span, up to the offsets of a snapshot."""
    within = {"feed": feed.name, "since": span.since, "until": span.until}
    refused = [tuple(row) for row in connection.execute(_REFUSED, within)]
    positions = np.array(refused, np.int64).reshape(-1, 2)
    return Counted(below, {p: np.sort(positions[positions[:, 0] == p, 1]) for p in np.unique(positions[:, 0]).tolist()})


_REFUSED = text("""
select partition, record_offset
from refused_events
where feed = :feed and event_time >= :since and event_time < :until
""")
