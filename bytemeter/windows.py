"""Windows of event time: a fixed number of seconds, or calendar months in a time zone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.plans.periods import periods

_US = 1_000_000
_US_PER_YEAR = 366 * 86_400 * _US


@dataclass(frozen=True)
class FixedWindow:
    """Windows of ``seconds``, counted from 1970-01-01T00:00Z."""

    seconds: int

    def starts(self, event_us: pa.ChunkedArray) -> pa.ChunkedArray:
        """The start of each instant's window, in seconds since 1970.

        Args:
            event_us: long, instants in microseconds since 1970, none before 1970.
        """
        # Valid records are after 1970: integer division rounds down.
        return pc.multiply(pc.divide(event_us, self.seconds * _US), self.seconds)


@dataclass(frozen=True)
class CalendarMonth:
    """Calendar months in a time zone: a month starts with the first instant of its first local day.

    Attributes:
        zone: the name of an IANA time zone.
    """

    zone: str = "UTC"

    def starts(self, event_us: pa.ChunkedArray) -> pa.ChunkedArray:
        """See ``FixedWindow.starts``."""
        if not len(event_us):
            return event_us
        instants = event_us.to_numpy()
        # The local year differs from the UTC year at most by one, 1970 + us / (longest year) at most by one more.
        first, last = (1970 + int(us) // _US_PER_YEAR for us in (instants.min(), instants.max()))
        starts_s = _month_starts(self.zone, first - 1, last + 2)
        month = np.searchsorted(starts_s, instants // _US, side="right") - 1
        return pa.chunked_array([starts_s[month]], pa.int64())

    def bounds(self, year: int, month: int) -> tuple[dt.datetime, dt.datetime]:
        """The instants from which on and up to which a month goes, in UTC."""
        of_year = list(periods(ZoneInfo(self.zone), 1, first_year=year, last_year=year))
        return of_year[month - 1].start, of_year[month - 1].end


@dataclass(frozen=True)
class BillingMonth(CalendarMonth):
    """Calendar months in the billing zone, a setting: a feed declares them without it, ``Feed.in_zone`` adds it."""

    zone: str = ""

    def starts(self, event_us: pa.ChunkedArray) -> pa.ChunkedArray:
        """See ``FixedWindow.starts``.

        Raises:
            ValueError: the zone was not named.
        """
        if not self.zone:
            raise ValueError("months of the billing zone, but no zone; use feed.in_zone(settings.billing_zone)")
        return super().starts(event_us)


Window = FixedWindow | CalendarMonth
FIVE_MINUTES = FixedWindow(300)
HOUR = FixedWindow(3_600)


@lru_cache(maxsize=100)
def _month_starts(zone: str, first_year: int, last_year: int) -> npt.NDArray[np.int64]:
    """The starts of all months of these years, in seconds since 1970."""
    months = periods(ZoneInfo(zone), 1, first_year=first_year, last_year=last_year)
    return np.array([int(month.start.timestamp()) for month in months], np.int64)
