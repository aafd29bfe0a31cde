"""The jobs that run by themselves, each declared in one entry of ``SCHEDULED``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from batch_layer.jobs import hourly_usage, maintain, monthly_usage
from batch_layer.months import settled_after_s
from batch_layer.schedule.timing import Cron, Period, hour_before, month_before
from bytemeter.errors import BytemeterError
from bytemeter.job import Job
from bytemeter.settings import PREFIX, Settings

OFF = "off"


@dataclass(frozen=True)
class Scheduled:
    """A job that runs by itself.

    Attributes:
        name: of its runs in ``job_runs``.
        job: what runs.
        cron: when; its default.
        command: the job's command of ``bytemeter``, with the options that each run has.
        period: what the run of a time recomputes; None where the job finds that out itself. With it, times that were
            missed are caught up: one after the other, in order.
        options: that name the period.
        joins: whether one run recomputes several periods that follow each other.
        after_s: seconds after the end of a period, or of what the run finds out itself, before which it is not run;
            given the settings.
        catch_up: how far back missed periods are looked for.
        needed: name of a statement of ``store.sql`` that tells whether there is anything to do; None: always.
    """

    name: str
    job: Job
    cron: Cron
    command: tuple[str, ...]
    period: Callable[[dt.datetime], Period] | None = None
    options: Callable[[Period], tuple[str, ...]] = lambda _: ()
    joins: bool = False
    after_s: Callable[[Settings], float] = lambda _: 0.0
    catch_up: dt.timedelta = dt.timedelta(0)
    needed: str | None = None


def _hours(period: Period) -> tuple[str, ...]:
    return ("--from", f"{period.since:%Y-%m-%dT%H}", "--to", f"{period.until:%Y-%m-%dT%H}")


def _month(period: Period) -> tuple[str, ...]:
    return ("--month", f"{period.since:%Y-%m}")


def _until_all_periods_are_over(settings: Settings) -> float:
    return settled_after_s(settings.period_grace_s)


# In the order in which they run when several are due.
SCHEDULED = (
    Scheduled(
        "hourly", hourly_usage.JOB, Cron("5 * * * *"), ("batch", "hourly"), hour_before, _hours, joins=True,
        catch_up=dt.timedelta(days=2),
    ),
    Scheduled(
        "dirty-hours", hourly_usage.JOB, Cron("*/20 * * * *"), ("batch", "hourly", "--dirty", "--over"),
        needed="dirty_hours_that_are_over",
    ),
    Scheduled(
        "monthly", monthly_usage.JOB, Cron("40 4 2 * *"), ("batch", "monthly"), month_before, _month,
        after_s=_until_all_periods_are_over, catch_up=dt.timedelta(days=92),
    ),
    Scheduled(
        "dirty-months", monthly_usage.JOB, Cron("10 5 * * *"), ("batch", "monthly", "--dirty"),
        after_s=_until_all_periods_are_over, needed="dirty_months_that_are_over",
    ),
    Scheduled("maintain", maintain.JOB, Cron("50 * * * *"), ("maintain",)),
)  # fmt: skip


def scheduled_jobs(settings: Settings, jobs: Iterable[Scheduled] = SCHEDULED) -> list[Scheduled]:
    """The jobs at the times of the settings, without those that are off.

    Raises:
        BytemeterError: the setting names a job that is none, or a time that cron does not know.
    """
    chosen = {job.name: job for job in jobs}
    for entry in filter(None, (part.strip() for part in settings.schedule.split(";"))):
        name, _, cron = (part.strip() for part in entry.partition("="))
        if name not in chosen:
            raise BytemeterError(
                f"{PREFIX}SCHEDULE: no job {name!r}; the jobs are {', '.join(chosen)}; "
                "give e.g. 'monthly=40 4 2 * *; dirty-hours=off'"
            )
        chosen[name] = replace(chosen[name], cron=Cron(cron))
    kept = [job for job in chosen.values() if job.cron.text != OFF]
    for job in kept:
        job.cron.check()
    return kept
