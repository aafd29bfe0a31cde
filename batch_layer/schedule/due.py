"""Which run of a job is due: a pure function of the clock and of the runs so far, whoever made them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from batch_layer.schedule.declared import Scheduled
from batch_layer.schedule.timing import Period, joined

_FIRST_PAUSE = dt.timedelta(minutes=1)
_LONGEST_PAUSE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class PastRun:
    """A run that has ended; see ``job_runs``."""

    since: dt.datetime | None
    until: dt.datetime | None
    started_at: dt.datetime
    ended_at: dt.datetime
    outcome: str

    def covers(self, period: Period, earliest: dt.datetime) -> bool:
        """Whether it has recomputed a period, not earlier than an instant."""
        if self.outcome != "done" or self.since is None or self.until is None or self.started_at < earliest:
            return False
        return self.since <= period.since and period.until <= self.until


@dataclass(frozen=True)
class Past:
    """The runs of a job.

    Attributes:
        runs: in the order in which they began; at least those of the time for which is caught up.
        first: the start of the first period that a scheduler ever ran; None: it never did.
    """

    runs: Sequence[PastRun]
    first: dt.datetime | None = None


@dataclass(frozen=True)
class Next:
    """The next run of a job.

    Attributes:
        job: which.
        at: when it is due, in the past if it is; the end of the pause after a failed run.
        options: those of its period.
    """

    job: Scheduled
    at: dt.datetime
    options: tuple[str, ...] = ()


def next_run(job: Scheduled, past: Past, now: dt.datetime, *, after_s: float, needed: bool = True) -> Next:
    """The next run of a job: one that was missed, or the first to come.

    Args:
        after_s: see ``Scheduled.after_s``.
        needed: whether there is anything to do.
    """
    due = _missed_periods(job, past, now, dt.timedelta(seconds=after_s)) if job.period else _missed_time(job, past, now)
    if due is None or not needed:
        return Next(job, job.cron.next(now))
    retry = retry_at(past.runs)
    return due if retry is None or retry <= due.at else Next(job, retry, due.options)


def _missed_time(job: Scheduled, past: Past, now: dt.datetime) -> Next | None:
    time = job.cron.last(now)
    if time is None or any(run.outcome == "done" and run.started_at >= time for run in past.runs):
        return None
    return Next(job, time)


def _missed_periods(job: Scheduled, past: Past, now: dt.datetime, after: dt.timedelta) -> Next | None:
    """The first periods that no run has recomputed since they were over."""
    if job.period is None:
        return None
    last = job.cron.last(now)
    times = sorted({*job.cron.between(now - job.catch_up, now), *([last] if last else [])})
    due: dict[Period, dt.datetime] = {}
    for time in times:
        period = job.period(time)
        due.setdefault(period, max(time, period.until + after))
    # Before the first scheduled run there is nothing to catch up but the latest time.
    begin = past.first if past.first is not None else max((period.since for period in due), default=now)
    over = [period for period, at in due.items() if period.since >= begin and at <= now]
    missed = [one for one in over if not any(run.covers(one, one.until + after) for run in past.runs)]
    if not missed:
        return None
    chosen = joined(missed) if job.joins else missed[0]
    return Next(job, due[missed[0]], job.options(chosen))


def retry_at(runs: Sequence[PastRun]) -> dt.datetime | None:
    """When a job whose last run failed is tried again: 1, 2, 4 … 60 minutes after it; None if it did not fail.

    A run that was ended from without, such as by a kill, is begun again at once the first time.
    """
    failed: list[PastRun] = []
    for run in reversed(runs):
        if run.outcome == "done":
            break
        failed.append(run)
    if not failed:
        return None
    pauses = len(failed) - (failed[0].outcome == "ended")
    pause = min(_FIRST_PAUSE * 2 ** min(pauses - 1, 10), _LONGEST_PAUSE) if pauses else dt.timedelta(0)
    return failed[0].ended_at + pause
