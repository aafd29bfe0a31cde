"""The times of scheduled jobs, as cron writes them, in UTC. APScheduler's triggers compute them.

Nothing else of APScheduler is used: its job store holds pickles, which run code of whoever may write that table; two
schedulers on one store both run each job; and it knows nothing of runs that others started. Which runs are due follows
from ``job_runs``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from apscheduler.triggers.cron import CronTrigger

from bytemeter.errors import BytemeterError

_DAY = dt.timedelta(days=1)
_LEAP_YEARS = 4 * 366 * _DAY


@dataclass(frozen=True)
class Cron:
    """Times such as ``*/20 * * * *``: minute, hour, day of the month, month, day of the week."""

    text: str

    @cached_property
    def _trigger(self) -> CronTrigger:
        try:
            return CronTrigger.from_crontab(self.text, timezone=dt.UTC)
        except ValueError as error:
            raise BytemeterError(
                f"{self.text!r} is not a time as cron writes it ({error}); give e.g. '*/20 * * * *'"
            ) from None

    def check(self) -> None:
        """Require that the text is right.

        Raises:
            BytemeterError: it is not.
        """
        self.next(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    def next(self, after: dt.datetime) -> dt.datetime:
        """The first time after an instant.

        Raises:
            BytemeterError: there is none, as on the 30th of February.
        """
        found: dt.datetime | None = self._trigger.get_next_fire_time(None, after + dt.timedelta(microseconds=1))
        if found is None:
            raise BytemeterError(f"{self.text!r} names a time that never comes; give e.g. '*/20 * * * *'")
        return found

    def between(self, since: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
        """The times in (since, until], in order."""
        times, at = [], since
        while (at := self.next(at)) <= until:
            times.append(at)
        return times

    def last(self, until: dt.datetime) -> dt.datetime | None:
        """The last time at or before an instant; None if there is none within four years."""
        span = dt.timedelta(hours=1)
        while span < _LEAP_YEARS:
            if times := self.between(until - span, until):
                return times[-1]
            span *= 8
        return None


@dataclass(frozen=True)
class Period:
    """What a run recomputes: [since, until)."""

    since: dt.datetime
    until: dt.datetime


def hour_before(at: dt.datetime) -> Period:
    """The last hour that is over at an instant."""
    until = at.replace(minute=0, second=0, microsecond=0)
    return Period(until - dt.timedelta(hours=1), until)


def month_before(at: dt.datetime) -> Period:
    """The last calendar month that is over at an instant (UTC)."""
    until = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period((until - _DAY).replace(day=1), until)


def joined(periods: list[Period]) -> Period:
    """The first of some periods, with all that follow it without a gap. They are in order, and at least one."""
    end = periods[0].until
    for before, period in pairwise(periods):
        if period.since != before.until:
            break
        end = period.until
    return Period(periods[0].since, end)
