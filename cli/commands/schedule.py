"""The commands ``schedule`` and ``schedule list``."""

from __future__ import annotations

import datetime as dt
import os

import click

from bytemeter.ending import interruptible, until_signal
from bytemeter.settings import PREFIX, Settings
from cli.commands.process import notify
from embedded.stack import embedded, endpoints

_HOUR_S = 3_600


@click.group(invoke_without_command=True)
@click.option(
    "--limit",
    "limit_h",
    type=click.FloatRange(min=0, min_open=True),
    default=6.0,
    help="hours after which a run is ended, to be tried again",
)
@click.pass_context
def schedule(context: click.Context, limit_h: float) -> None:
    """Run the batch jobs when they are due, until Ctrl-C; `schedule list` shows last and next runs.

    BYTEMETER_SCHEDULE changes the times (cron, UTC), e.g. 'dirty-hours=*/5 * * * *; monthly=off'.
    """
    if context.invoked_subcommand is None:
        _schedule(context.obj, limit_h * _HOUR_S)


def _schedule(settings: Settings, limit_s: float) -> None:
    from batch_layer.schedule.declared import scheduled_jobs
    from batch_layer.schedule.processes import JobProcess, attended_program
    from batch_layer.schedule.scheduler import Scheduler
    from bytemeter.postgres import database

    jobs = scheduled_jobs(settings)
    with until_signal() as signals, endpoints(settings, "kafka", "database_url", "history", notify=notify) as ready:
        process = JobProcess(attended_program(), job_environment(settings), limit_s, signals.stop)
        engine = database(ready.require_database_url())
        with signals.deferred():
            Scheduler(engine, ready, jobs, process.run, signals.stop).run()


def job_environment(settings: Settings) -> dict[str, str]:
    """The variables by which a job's process has the settings of this one.

    A secret stays in its file, or in Secret Manager, where the process reads it anew: by then it may have changed.
    """
    variables = {**os.environ, f"{PREFIX}HOME": str(settings.home.absolute())}
    if not embedded(settings):
        given = {"KAFKA": settings.kafka, "HISTORY": settings.history, **_database(settings)}
        for name in ("DATABASE_URL", "DATABASE_URL_FILE", "DATABASE_URL_SECRET"):
            if name not in given:
                variables.pop(f"{PREFIX}{name}", None)
        variables |= {f"{PREFIX}{name}": value for name, value in given.items() if value is not None}
    return variables


def _database(settings: Settings) -> dict[str, str | None]:
    """The one variable that names the database: the flags of this process have won over the others."""
    if settings.database_url_secret is not None:
        return {"DATABASE_URL_SECRET": settings.database_url_secret}
    if settings.database_url_file is not None:
        # Only a variable names a file, which the process inherits.
        return {"DATABASE_URL_FILE": None}
    return {"DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else None}


@schedule.command("list")
@click.pass_obj
def list_(settings: Settings) -> None:
    """Show the last run of each job (when, how long, how it ended, who started it) and its next one."""
    from rich.console import Console
    from rich.table import Table

    from batch_layer.schedule.declared import scheduled_jobs
    from batch_layer.schedule.listing import COLUMNS, listed
    from bytemeter.postgres import database

    jobs, now = scheduled_jobs(settings), dt.datetime.now(dt.UTC)
    with interruptible(), endpoints(settings, "database_url", notify=notify) as ready:
        rows = listed(database(ready.require_database_url()), jobs, now)
    table = Table(*COLUMNS, box=None)
    for row in rows:
        table.add_row(*row)
    console = Console()
    # To a pipe or a file, lines are not cut.
    Console(width=None if console.is_terminal else 500).print(table)
