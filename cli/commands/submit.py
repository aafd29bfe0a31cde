"""The command ``submit``: runs a job on Dataproc, on a cluster or serverless."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import click

from batch_layer.jobs import hourly_usage, monthly_usage
from bytemeter.cache import cached
from bytemeter.errors import BytemeterError
from bytemeter.job import Job
from bytemeter.settings import PREFIX, Settings
from cli import dataproc, gcloud
from cli.commands.process import notify
from speed_layer.jobs import stream_usage

_NEEDED = {"submit_code": "gs://BUCKET/PREFIX", "submit_region": "a region, e.g. europe-west1"}


def _setting(name: str, metavar: str, text: str) -> click.Option:
    option = f"--{name.replace('_', '-')}"
    return click.Option([option, f"submit_{name}"], metavar=metavar, help=f"{text}  [{PREFIX}SUBMIT_{name.upper()}]")


_OPTIONS = (
    click.Option(["--cluster"], metavar="NAME", help="run it on this cluster of Dataproc"),
    click.Option(["--serverless"], is_flag=True, help="run it as a serverless batch of Dataproc"),
    click.Option(["--print", "prints"], is_flag=True, help="print the commands of gcloud in place of running them"),
    _setting("code", "URI", "gs://BUCKET/PREFIX to which zip, main and jars are uploaded"),
    _setting("project", "ID", "project; by default that of gcloud"),
    _setting("region", "REGION", "e.g. europe-west1"),
    _setting("service_account", "EMAIL", "as whom a serverless batch runs"),
    _setting("subnetwork", "NAME", "in which a serverless batch runs"),
    _setting("container_image", "IMAGE", "with the Python packages of a serverless batch"),
    _setting("postgresql_ca", "FILE", "the authority of PostgreSQL's certificate, for a serverless batch"),
    click.Option(["--runtime"], metavar="VERSION", default="3.0", help="serverless runtime, or image of the cluster"),
    click.Option(["--ttl"], metavar="DURATION", help="ends a serverless batch, e.g. 12h; 14d for a stream"),
    click.Option(["--property", "properties"], multiple=True, metavar="KEY=VALUE", help="a property of Spark"),
    click.Option(
        ["--attempt"], type=click.IntRange(min=1), default=1, help="2, 3 … run again what ran in this hour already"
    ),
)
_OWN = frozenset(option.name for option in _OPTIONS)


def submit_command(job: Job) -> click.Command:
    """The job as a command of ``bytemeter submit``: its own options, and where it runs."""

    @click.pass_context
    def run(context: click.Context, /, **given: Any) -> None:
        options = _arguments(job, {name: value for name, value in given.items() if name not in _OWN})
        own = {name: value for name, value in given.items() if name in _OWN}
        _submit(job, _with_options(context.obj, own), options, own)

    return click.Command(job.name, callback=run, params=[*job.params, *_OPTIONS], help=f"{job.help} On Dataproc.")


submit = click.Group(
    "submit",
    commands=[submit_command(job) for job in (stream_usage.JOB, hourly_usage.JOB, monthly_usage.JOB)],
    help="Run a job on Dataproc: on a cluster, or serverless.",
)


def _submit(job: Job, settings: Settings, options: Sequence[str], own: dict[str, Any]) -> None:
    if bool(own["cluster"]) == own["serverless"]:
        raise click.UsageError("give one of --cluster NAME and --serverless")
    from bytemeter.shipping import ship

    placement = _placement(settings, own)
    files = [settings.submit_postgresql_ca] if own["serverless"] and settings.submit_postgresql_ca else []
    code, cache = str(settings.submit_code), cached("", "", "").parent
    shipment = ship(job.name, spark=placement.spark, code=code, cache=cache, files=files)
    arguments = dataproc.job_arguments(job, settings, options)
    lasts = dataproc.Submission(job, arguments, "").lasts
    now = dt.datetime.now(dt.UTC)
    run_id = dataproc.run_id(job, arguments, shipment, now, own["attempt"], lasts)
    submission = dataproc.Submission(job, arguments, run_id)
    upload = dataproc.upload(shipment, placement)
    start = dataproc.submit(submission, shipment, placement, settings)
    if ignored := dataproc.left_out(settings, serverless=own["serverless"]):
        notify(f"{', '.join(ignored)} of this machine not handed on: the job reads its own (docs/dataproc.md)")
    if own["prints"]:
        click.echo(f"{gcloud.shown(upload)}\n{gcloud.shown(start)}")
        return
    gcloud.run(upload)
    _start(submission, start, dataproc.wait(submission, placement))


def _start(submission: dataproc.Submission, start: Sequence[str], wait: Sequence[str]) -> None:
    """Start the run; one that a call before has started is waited for, as if this call had started it."""
    try:
        gcloud.run(start)
    except gcloud.AlreadyExistsError:
        notify(f"{submission.id} was submitted before; it does not run a second time")
        if not submission.lasts:
            gcloud.run(wait)
    click.echo(f"submitted {submission.id}")


def _with_options(settings: Settings, own: dict[str, Any]) -> Settings:
    """The settings with those that options name.

    Raises:
        BytemeterError: an option is malformed, or a setting that is needed is missing.
    """
    from bytemeter.settings import checked

    given = {name: value for name, value in own.items() if name.startswith("submit_") and value is not None}
    settings = checked(settings, **given)
    for name, expected in _NEEDED.items():
        if getattr(settings, name) is None:
            option = f"--{name.removeprefix('submit_').replace('_', '-')}"
            raise BytemeterError(f"{PREFIX}{name.upper()} is not set; expected {expected}, there or by {option}")
    return settings


def _placement(settings: Settings, own: dict[str, Any]) -> dataproc.Placement:
    properties = dict(text.partition("=")[::2] for text in own["properties"])
    if wrong := next((text for text in own["properties"] if "=" not in text), None):
        raise click.UsageError(f"--property {wrong} is not KEY=VALUE")
    return dataproc.Placement(
        cluster=own["cluster"],
        runtime=own["runtime"],
        project=settings.submit_project,
        region=str(settings.submit_region),
        service_account=settings.submit_service_account,
        subnetwork=settings.submit_subnetwork,
        container_image=settings.submit_container_image,
        ttl=own["ttl"],
        properties=properties,
    )


def _arguments(job: Job, given: dict[str, Any]) -> list[str]:
    """The arguments from which the job's own parser makes these values; defaults are left out."""
    options: list[str] = []
    positional: list[str] = []
    for param in job.params:
        value = given[str(param.name)]
        if isinstance(param, click.Argument):
            positional += value
        elif value != param.get_default(click.Context(click.Command(job.name))):
            flag = isinstance(param, click.Option) and param.is_flag
            # Of a flag with two names the second one says no.
            name = param.secondary_opts[0] if flag and not value and param.secondary_opts else param.opts[0]
            options += [name] if flag else [name, str(value)]
    return [*positional, *options]
