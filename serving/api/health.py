"""What is wrong, as far as the usage API can tell: PostgreSQL away, or figures that stand still."""

from __future__ import annotations

import datetime as dt

from bytemeter.sql import Statements
from bytemeter.web.problems import Problem
from serving.api.reading import Reading
from serving.api.snapshots import Snapshots
from serving.api.stream import EventStream

SQL = Statements(__package__, "health.sql")
_LONGEST_WAIT = dt.timedelta(minutes=5)


async def health(snapshots: Snapshots, stream: EventStream) -> list[str]:
    """A line for each thing that is wrong."""
    try:
        wrong = await snapshots.ask(_standing_still)
    except Problem as problem:
        return [str(problem)]
    return wrong if stream.available else [*wrong, "threshold events do not reach the stream; the log says why"]


def _standing_still(reading: Reading) -> list[str]:
    rows = reading.execute(SQL["waiting_feeds"], {"longest": _LONGEST_WAIT})
    return [
        f"{row.feed}: {row.waiting} messages wait; the last ones were counted at {row.counted_at.isoformat()}"
        for row in rows
    ]
