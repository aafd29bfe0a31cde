"""The jobs of the layers as commands: ``stream``, ``batch`` and ``maintain``, on this machine."""

from __future__ import annotations

from functools import partial

import click

from batch_layer.jobs import hourly_usage, maintain, monthly_usage
from bytemeter.job import Job, JobContext
from bytemeter.settings import Settings
from cli.commands.process import notify, spark_session
from embedded.stack import endpoints
from speed_layer.jobs import stream_usage


def job_command(job: Job) -> click.Command:
    """The job as a command of ``bytemeter``, on the embedded stack where no endpoints are set."""

    @click.pass_obj
    def run(settings: Settings, /, **options: object) -> None:
        job.run(JobContext(partial(endpoints, settings, notify=notify), spark_session), **options)

    return click.Command(job.name, callback=run, params=list(job.params), help=job.help)


stream = job_command(stream_usage.JOB)
maintain_history = job_command(maintain.JOB)
batch = click.Group(
    "batch",
    commands=[job_command(hourly_usage.JOB), job_command(monthly_usage.JOB)],
    help="Recompute from the history.",
)
