"""What the live query has counted, read from PostgreSQL for a recompute."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, text

from batch_layer.history.counted import CountedOffsets
from batch_layer.history.spans import Span
from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors

_AT_ONCE = 100_000
_NONE = np.empty((0, 2), np.int64)


def read_counted_offsets(connection: Connection, feed: Feed, span: Span, below: Offsets) -> CountedOffsets:
    """What the live query has counted of a span, up to the offsets of a snapshot.

    Raises:
        TransientError: PostgreSQL could not be reached.
    """
    within = {"feed": feed.name, "since": span.since, "until": span.until}
    with one_line_errors(connection.engine.url), connection.begin():
        rows = connection.execute(_REFUSED, within, execution_options={"yield_per": _AT_ONCE})
        some = [np.array([tuple(row) for row in page], np.int64) for page in rows.partitions()]
    partitions, offsets = np.concatenate([_NONE, *some]).T
    return CountedOffsets(below, {p: np.sort(offsets[partitions == p]) for p in np.unique(partitions).tolist()})


_REFUSED = text("""
select partition, record_offset
from refused_events
where feed = :feed and event_time >= :since and event_time < :until
""")
