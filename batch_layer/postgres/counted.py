"""What the live query has counted, read from PostgreSQL for a recompute."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, text

from batch_layer.history.counted import CountedOffsets
from batch_layer.history.spans import Span
from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "statements.sql")
_ROWS_AT_ONCE = 100_000
_NO_ROWS = np.empty((0, 2), np.int64)


def counted_topics(connection: Connection, feed: Feed) -> set[str]:
    """The id of the topic whose messages were counted, as the ledger has it; none if nothing was counted.

    Raises:
        TransientError: PostgreSQL could not be reached.
    """
    asked = text("select distinct topic_id from ledger where feed = :feed")
    with one_line_errors(connection.engine.url), connection.begin():
        return set(connection.scalars(asked, {"feed": feed.name}))


def read_counted_offsets(connection: Connection, feed: Feed, span: Span, below: Offsets) -> CountedOffsets:
    """Read which records of a span the live query refused.

    Args:
        below: per partition the next offset of the ledger, as of the recompute's snapshot.

    Raises:
        TransientError: PostgreSQL could not be reached.
    """
    within = {"feed": feed.name, "since": span.since, "until": span.until}
    with one_line_errors(connection.engine.url), connection.begin():
        rows = connection.execute(SQL["refused_offsets"], within, execution_options={"yield_per": _ROWS_AT_ONCE})
        pages = [np.array([tuple(row) for row in page], np.int64) for page in rows.partitions()]
    partitions, offsets = np.concatenate([_NO_ROWS, *pages]).T
    return CountedOffsets(below, {p: np.sort(offsets[partitions == p]) for p in np.unique(partitions).tolist()})
