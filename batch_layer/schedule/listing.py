"""What ``bytemeter schedule list`` shows: last and next runs of each job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, text

from batch_layer.schedule.declared import Scheduled
from bytemeter.errors import first_line
from bytemeter.leases.owner import shown
from bytemeter.postgres import one_line_errors

COLUMNS = ("job", "times (UTC)", "last run", "took", "outcome", "started by", "next run", "result")


def listed(engine: Engine, jobs: Sequence[Scheduled], now: dt.datetime) -> list[tuple[str, ...]]:
    """A row for each scheduled job, and for each job that ever ran; texts in the order of ``COLUMNS``.

    Raises:
        TransientError: PostgreSQL cannot be reached.
    """
    with one_line_errors(engine.url), engine.connect() as connection:
        known = {row.job: row for row in connection.execute(text("select * from job_status order by job"))}
    names = [*(job.name for job in jobs), *(name for name in known if name not in {job.name for job in jobs})]
    crons = {job.name: job.cron for job in jobs}
    rows: list[tuple[str, ...]] = []
    for name in names:
        row = known.get(name)
        cron = row.cron if row is not None and row.cron else (crons[name].text if name in crons else "-")
        following = row.next_at if row is not None else None
        if following is None and name in crons:
            following = crons[name].next(now)
        rows.append((name, cron, *_last(row, now), _instant(following), _result(row)))
    return rows


def _last(row: Row[Any] | None, now: dt.datetime) -> tuple[str, str, str, str]:
    if row is None or row.run is None:
        return ("never", "-", "-", "-")
    took = f"{((row.ended_at or now) - row.started_at).total_seconds():.0f} s"
    outcome = row.outcome if row.failures < 2 else f"{row.outcome} ({row.failures} times)"  # noqa: PLR2004
    return (_instant(row.started_at), took, outcome, f"{row.runner}, {shown(row.owner)}")


def _result(row: Row[Any] | None) -> str:
    return first_line(row.told) if row is not None and row.told else ""


def _instant(at: dt.datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"
