"""Which runs are due: by the clock and by the runs so far, whoever made them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from batch_layer.schedule.declared import SCHEDULED, Scheduled, scheduled_jobs
from batch_layer.schedule.due import Past, PastRun, next_run, retry_at
from batch_layer.schedule.timing import Cron
from bytemeter.errors import BytemeterError
from bytemeter.settings import load_settings

HOURLY, DIRTY, MONTHLY, DIRTY_MONTHS = SCHEDULED[:4]
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
AFTER_S = MONTHLY.after_s(load_settings())


def at(text: str) -> dt.datetime:
    """An instant of November 2026, such as ``21T10:05``."""
    return dt.datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=dt.UTC)


def run_of(since: dt.datetime | None, until: dt.datetime | None, began: dt.datetime, outcome: str = "done") -> PastRun:
    return PastRun(since, until, began, began + MINUTE, outcome)


def test_without_any_run_only_the_last_hour_is_due() -> None:
    found = next_run(HOURLY, Past([]), at("21T10:05"), after_s=0)
    assert (found.at, found.options) == (at("21T10:05"), ("--from", "2026-11-21T09", "--to", "2026-11-21T10"))


def test_an_hour_is_not_due_before_its_late_records_may_have_come() -> None:
    done = run_of(at("21T08:00"), at("21T09:00"), at("21T09:05"))
    assert next_run(HOURLY, Past([done], at("21T08:00")), at("21T10:04"), after_s=0).at == at("21T10:05")


def test_missed_hours_are_caught_up_by_one_run() -> None:
    done = run_of(at("21T05:00"), at("21T06:00"), at("21T06:05"))
    found = next_run(HOURLY, Past([done], at("20T00:00")), at("21T10:30"), after_s=0)
    # The hours before were done by nobody, although a scheduler ran then.
    assert found.options == ("--from", "2026-11-20T00", "--to", "2026-11-21T05")
    later = next_run(HOURLY, Past([done], at("21T05:00")), at("21T10:30"), after_s=0)
    assert later.options == ("--from", "2026-11-21T06", "--to", "2026-11-21T10")


def test_an_hour_that_was_recomputed_before_it_was_over_is_still_due() -> None:
    early = run_of(at("21T09:00"), at("21T10:00"), at("21T09:30"))
    by_hand = run_of(at("21T09:00"), at("21T10:00"), at("21T10:01"))
    assert next_run(HOURLY, Past([early]), at("21T10:05"), after_s=0).at == at("21T10:05")
    assert next_run(HOURLY, Past([early, by_hand]), at("21T10:05"), after_s=0).at == at("21T11:05")


def test_dirty_hours_are_due_at_their_times_if_there_are_any() -> None:
    done = run_of(None, None, at("21T10:00"))
    assert next_run(DIRTY, Past([done]), at("21T10:19"), after_s=0).at == at("21T10:20")
    assert next_run(DIRTY, Past([done]), at("21T10:21"), after_s=0).at == at("21T10:20")
    assert next_run(DIRTY, Past([done]), at("21T10:21"), after_s=0, needed=False).at == at("21T10:40")


def test_a_month_is_due_once_its_last_billing_periods_have_closed() -> None:
    soon = replace(MONTHLY, cron=Cron("0 1 1 * *"))
    assert next_run(soon, Past([]), at("01T12:59"), after_s=AFTER_S).at > at("01T13:00")
    found = next_run(soon, Past([]), at("01T13:00"), after_s=AFTER_S)
    assert (found.at, found.options) == (at("01T13:00"), ("--month", "2026-10"))


def test_dirty_months_are_due_once_a_day_if_there_are_any() -> None:
    done = run_of(None, None, at("21T05:10"))
    assert next_run(DIRTY_MONTHS, Past([done]), at("22T05:09"), after_s=AFTER_S).at == at("22T05:10")
    assert next_run(DIRTY_MONTHS, Past([done]), at("22T09:00"), after_s=AFTER_S).at == at("22T05:10")
    assert next_run(DIRTY_MONTHS, Past([done]), at("22T09:00"), after_s=AFTER_S, needed=False).at == at("23T05:10")


def test_missed_months_are_caught_up_one_after_the_other() -> None:
    august, november = dt.datetime(2026, 8, 1, tzinfo=dt.UTC), at("05T00:00")
    september = next_run(MONTHLY, Past([], august.replace(month=9)), november, after_s=AFTER_S)
    assert september.options == ("--month", "2026-09")
    done = run_of(august.replace(month=9), august.replace(month=10), november)
    october = next_run(MONTHLY, Past([done], august.replace(month=9)), november, after_s=AFTER_S)
    assert october.options == ("--month", "2026-10")


@pytest.mark.parametrize(
    ("outcomes", "minutes"),
    [(["failed"], 1), (["failed"] * 3, 4), (["failed"] * 20, 60), (["ended"], 0), (["failed", "ended"], 1)],
)
def test_a_failed_run_is_tried_again_with_growing_pauses(outcomes: list[str], minutes: int) -> None:
    runs = [run_of(None, None, at("21T10:00"), outcome) for outcome in outcomes]
    assert retry_at(runs) == at("21T10:01") + minutes * MINUTE
    assert retry_at([*runs, run_of(None, None, at("21T10:00"))]) is None


def test_the_setting_changes_times_and_turns_jobs_off() -> None:
    settings = load_settings(schedule="dirty-hours = */5 * * * * ; monthly=off")
    assert [(job.name, job.cron.text) for job in scheduled_jobs(settings)][:2] == [
        ("hourly", "5 * * * *"),
        ("dirty-hours", "*/5 * * * *"),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("daily=off", "BYTEMETER_SCHEDULE: no job 'daily'; the jobs are hourly, dirty-hours, monthly"),
        ("hourly=soon", "'soon' is not a time as cron writes it"),
        ("hourly=0 0 30 2 *", "names a time that never comes"),
    ],
)
def test_a_wrong_setting_is_one_line(text: str, error: str) -> None:
    with pytest.raises(BytemeterError, match=error.replace("*", r"\*")) as caught:
        scheduled_jobs(load_settings(schedule=text))
    assert "\n" not in str(caught.value)


def test_a_job_joins_by_one_declaration() -> None:
    another = Scheduled("another", HOURLY.job, Cron("50 * * * *"), ("another",))
    jobs = scheduled_jobs(load_settings(), (*SCHEDULED, another))
    assert next_run(jobs[-1], Past([]), at("21T10:55"), after_s=0).at == at("21T10:50")
