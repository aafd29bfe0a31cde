"""Which hours of the history are meant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from batch_layer.hours import HOUR


@dataclass(frozen=True)
class Span:
    """[since, until) of event time, whole hours in UTC; ``hours``, if any, are those of them that are meant."""

    since: dt.datetime
    until: dt.datetime
    hours: frozenset[dt.datetime] = frozenset()

    @classmethod
    def of_hours(cls, hours: Sequence[dt.datetime]) -> Span:
        """Some hours, given by their starts in order."""
        return cls(hours[0], hours[-1] + HOUR, frozenset(hours))

    def has(self, hour: dt.datetime) -> bool:
        """Whether the hour that starts then, between the ends, is meant."""
        return not self.hours or hour in self.hours
