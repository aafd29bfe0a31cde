"""Which hours of the history a recompute reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from batch_layer.hours import HOUR


@dataclass(frozen=True)
class Span:
    """Whole hours of event time in UTC: all hours of [since, until), or only those in ``hours`` where that is given."""

    since: dt.datetime
    until: dt.datetime
    hours: frozenset[dt.datetime] = frozenset()

    @classmethod
    def of_hours(cls, hours: Sequence[dt.datetime]) -> Span:
        """The hours with these starts, which are in order."""
        return cls(hours[0], hours[-1] + HOUR, frozenset(hours))

    @classmethod
    def around(cls, since: dt.datetime, until: dt.datetime) -> Span:
        """The hours that have an instant of [since, until); a month of some zones begins at half past."""
        first = since.replace(minute=0, second=0, microsecond=0)
        last = until.replace(minute=0, second=0, microsecond=0)
        return cls(first, last if last == until else last + HOUR)

    def has(self, hour: dt.datetime) -> bool:
        """Whether the span contains the hour that starts at ``hour``, an instant in [since, until)."""
        return not self.hours or hour in self.hours
