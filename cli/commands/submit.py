"""The command ``submit``: runs a job on Dataproc, on a cluster or serverless."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_layer.jobs import hourly_usage, maintain, monthly_usage
from bytemeter.cache import cached
from bytemeter.errors import BytemeterError
from bytemeter.job import Job
from bytemeter.settings import PREFIX, Settings, with_values
from bytemeter.versions import CLUSTER_IMAGES, RELEASES, SERVERLESS_RUNTIMES, spark_of_runtime
from cli.commands.process import notify
from speed_layer.jobs import stream_usage

if TYPE_CHECKING:
    from cli.dataproc import Placement, Submission

_NEEDED = {"submit_code": "gs://BUCKET/PREFIX", "submit_region": "a region, e.g. europe-west1"}
_RUNTIME = {
    serverless: max(name for name, spark in runtimes.items() if spark in RELEASES)
    for serverless, runtimes in ((True, SERVERLESS_RUNTIMES), (False, CLUSTER_IMAGES))
}


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
    click.Option(
        ["--runtime"],
        metavar="VERSION",
        help=f"serverless runtime (by default {_RUNTIME[True]}), or image of the cluster (by default the cluster is "
        f"asked, with --print {_RUNTIME[False]})",
    ),
    click.Option(["--ttl"], metavar="DURATION", help="ends a serverless batch, e.g. 12h; by default 14d for a stream"),
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
        options = {name: value for name, value in given.items() if name not in _OWN}
        own = {name: value for name, value in given.items() if name in _OWN}
        if bool(own["cluster"]) == own["serverless"]:
            raise click.UsageError("give one of --cluster NAME and --serverless")
        # What the main would refuse on the cluster, minutes later.
        job.check(**options)
        _submit(job, _with_options(context.obj, own), _arguments(job, options), own)

    return click.Command(job.name, callback=run, params=[*job.params, *_OPTIONS], help=f"{job.help} On Dataproc.")


submit = click.Group(
    "submit",
    commands=[submit_command(job) for job in (stream_usage.JOB, hourly_usage.JOB, monthly_usage.JOB, maintain.JOB)],
    help="Run a job on Dataproc: on a cluster, or serverless.",
)


def _submit(job: Job, settings: Settings, options: Sequence[str], own: dict[str, Any]) -> None:
    from bytemeter.shipping import ship
    from cli import dataproc, gcloud
    from cli.handover import job_arguments, left_out

    serverless, prints = own["serverless"], own["prints"]
    placement = _placement(settings, own)
    spark = spark_of_runtime(placement.runtime, serverless=serverless)
    arguments = job_arguments(job, settings, options, serverless=serverless)
    files = [settings.submit_postgresql_ca] if serverless and settings.submit_postgresql_ca else []
    shipment = ship(job.name, spark=spark, code=str(settings.submit_code), cache=_cache(), files=files)
    submission = dataproc.submission(job, arguments, shipment, placement, settings)
    run = submission.id(dt.datetime.now(dt.UTC), own["attempt"])
    if ignored := left_out(settings, serverless=serverless):
        notify(f"{', '.join(ignored)} of this machine not handed on: the job reads its own (docs/dataproc.md)")
    upload, start = dataproc.upload(shipment, placement), dataproc.start(submission, run)
    if prints:
        alone = f'test -z "$({gcloud.shown(dataproc.running(submission))})" && ' if submission.lasts else ""
        click.echo(f"{gcloud.shown(upload)}\n{alone}{gcloud.shown(start)}")
    elif not (submission.lasts and _runs(submission)):
        _require_history_near(placement, settings)
        gcloud.run(upload)
        _start(submission, run, start)
        click.echo(f"submitted {run}")


def _require_history_near(placement: Placement, settings: Settings) -> None:
    """Refuse a history in another region, each byte of which would cross regions; a login that may not see it passes.

    Raises:
        BytemeterError: it is in another region, or there is no such bucket.
    """
    from cli import dataproc, gcloud

    if not (history := settings.history or "").startswith("gs://"):
        return
    bucket = "/".join(history.split("/")[:3])
    with suppress(gcloud.NotAllowedError):
        location = "".join(gcloud.output(dataproc.location(bucket, placement))).lower()
        # Without a hyphen it is several regions, such as EU.
        if "-" in location and location != placement.region:
            raise BytemeterError(
                f"the history {history} is in {location}, the job would run in {placement.region}; "
                f"run it there (--region {location}), or name a bucket in {placement.region}"
            )


def _runs(submission: Submission) -> bool:
    """Whether this stream runs already.

    Raises:
        BytemeterError: one of another version, or with other properties, does. It would hold the leases.
    """
    from cli import dataproc, gcloud

    for line in gcloud.output(dataproc.running(submission)):
        digest, _, run = line.partition("\t")
        if digest != submission.digest:
            end = "kill" if submission.placement.cluster else "cancel"
            stop = gcloud.shown(["gcloud", "dataproc", submission.placement.kind, end, run])
            raise BytemeterError(
                f"{run} counts these feeds, of another version or with other options; end it, then submit this again: "
                f"{stop} {gcloud.shown(submission.placement.where())}"
            )
        notify(f"{run} runs already; nothing was submitted")
        return True
    return False


def _start(submission: Submission, run: str, start: Sequence[str]) -> None:
    """Start the run; one that a call before has started is waited for, as if this call had started it."""
    from cli import dataproc, gcloud

    try:
        gcloud.run(start)
    except gcloud.AlreadyExistsError:
        notify(f"{run} was submitted before and does not run a second time; --attempt 2 would run it again")
        if not submission.lasts:
            gcloud.run(dataproc.wait(run, submission.placement))
    except KeyboardInterrupt:
        notify(f"{run} may go on at Dataproc: this command only waited for it")
        raise


def _cache() -> Path:
    return cached("", "", "").parent


def _with_options(settings: Settings, own: dict[str, Any]) -> Settings:
    """The settings with those that options name.

    Raises:
        BytemeterError: an option is malformed, or a setting that is needed is missing.
    """
    given = {name: value for name, value in own.items() if name.startswith("submit_") and value is not None}
    settings = with_values(settings, **given)
    for name, expected in _NEEDED.items():
        if getattr(settings, name) is None:
            option = f"--{name.removeprefix('submit_').replace('_', '-')}"
            raise BytemeterError(f"{PREFIX}{name.upper()} is not set; expected {expected}, there or by {option}")
    return settings


def _placement(settings: Settings, own: dict[str, Any]) -> Placement:
    """Where the job runs; the cluster is asked for its image unless an option has it.

    Raises:
        BytemeterError: there is no such cluster.
    """
    from cli import dataproc, gcloud

    if wrong := next((text for text in own["properties"] if "=" not in text), None):
        raise click.UsageError(f"--property {wrong} is not KEY=VALUE")
    placement = dataproc.Placement(
        cluster=own["cluster"],
        runtime=own["runtime"] or _RUNTIME[own["serverless"]],
        project=settings.submit_project,
        region=str(settings.submit_region),
        service_account=settings.submit_service_account,
        subnetwork=settings.submit_subnetwork,
        container_image=settings.submit_container_image,
        ttl=own["ttl"],
        properties=dict(text.partition("=")[::2] for text in own["properties"]),
    )
    if placement.cluster is None or own["runtime"] or own["prints"]:
        return placement
    return replace(placement, runtime="".join(gcloud.output(dataproc.image(placement.cluster, placement))))


def _arguments(job: Job, given: dict[str, Any]) -> list[str]:
    """The arguments from which the job's own parser makes these values; defaults are left out."""
    options: list[str] = []
    positional: list[str] = []
    for param in job.params:
        value = given[str(param.name)]
        if isinstance(param, click.Argument):
            positional += value
        elif value is not None and value != param.get_default(click.Context(click.Command(job.name))):
            flag = isinstance(param, click.Option) and param.is_flag
            # Of a flag with two names the second one says no.
            name = param.secondary_opts[0] if flag and not value and param.secondary_opts else param.opts[0]
            options += [name] if flag else [name, str(value)]
    return [*positional, *options]
