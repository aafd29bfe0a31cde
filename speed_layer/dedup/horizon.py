"""The horizon of a feed: records of event hours before it are not deduplicated live, and their ids are dropped.

It lies a set time behind the watermark: the least latest event time of the feed's partitions, as the ledger has it from
the micro-batches before. So it depends on what was counted alone, not on the clock and not on idleness. One partition
with a wrong future event time does not move it. No event time is further ahead of the clock than the feed tolerates, by
default a day: a partition that lies further than that behind the latest event time of all does not hold it back.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.sql import Statements

SQL = Statements(__package__, "seen_ids.sql")

_HOUR_S, _A_DAY_S = 3_600, 86_400
DEFAULT = dt.timedelta(hours=48)
# A generation is as long as this part of the time within the horizon; so much more than that is stored at most.
_GENERATIONS = 16


@dataclass(frozen=True)
class Horizon:
    """Where the horizon of a feed lies, and what follows from it.

    Attributes:
        feed: the name of the feed.
        behind_s: how far it lies behind the watermark, in seconds.
        lag_s: a partition further behind the latest event time does not hold it back, in seconds.
    """

    feed: str
    behind_s: float
    lag_s: float

    @staticmethod
    def of(feed: Feed, default: dt.timedelta) -> Horizon:
        """The horizon of a feed: its own, or the one by default."""
        behind_s = default.total_seconds() if feed.horizon_s is None else feed.horizon_s
        return Horizon(feed.name, behind_s, max(_A_DAY_S, feed.clock_tolerance_s or 0))

    def hour(self, connection: Connection) -> int | None:
        """The first event hour, since 1970, whose records are deduplicated; None: all are.

        It is stored in the ledger with the transaction, and never moves back: not for a longer setting, and not for a
        new partition that is behind the others, because the ids of earlier hours may be gone.
        """
        stored, watermark_s = connection.execute(
            SQL["read_horizon"], {"feed": self.feed, "lag_s": self.lag_s}
        ).one()  # fmt: skip
        if watermark_s is None:
            return None if stored is None else int(stored)
        hour = int((watermark_s - self.behind_s) // _HOUR_S)
        if stored is not None and hour <= stored:
            return int(stored)
        connection.execute(SQL["move_horizon"], {"feed": self.feed, "hour": hour})
        return hour

    def era(self, hour: int | None) -> int:
        """The era of full segments that are written while the horizon is at this hour: its first hour."""
        length = max(1, int(self.behind_s / _HOUR_S / _GENERATIONS))
        return -1 if hour is None else hour - hour % length
