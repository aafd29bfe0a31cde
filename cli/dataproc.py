"""The commands of gcloud by which a job runs on Dataproc, as lists of arguments. They hold no secret."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bytemeter.errors import BytemeterError
from bytemeter.job import Job
from bytemeter.settings import PREFIX, Settings
from bytemeter.shipping import Shipment

# Spark's version in Dataproc's runtimes, by what --runtime names.
SERVERLESS_RUNTIMES = {"3.0": "4.0"}
CLUSTER_IMAGES = {"3.0": "4.1", "4.0": "4.2"}
# A batch that nobody ends is ended by Dataproc after 4 hours unless it says otherwise; 14 days are the most.
_LONGEST_TTL = "14d"
# How often Dataproc starts a streaming job again that failed.
_FAILURES_PER_HOUR, _FAILURES_IN_ALL = 10, 240
# Executors of a stream are all busy in each micro-batch: their number is fixed.
_STREAM_ON_SERVERLESS = {"spark.dynamicAllocation.enabled": "false", "spark.executor.instances": "2"}
# Given to the job as arguments, or not meant for it.
_NOT_AS_VARIABLES = frozenset({"home", "kafka", "history", "class_archive", "driver_memory", "database_url_secret"})
_OF_THIS_MACHINE = ("database_url", "database_url_file", "kafka_sasl_password", "kafka_sasl_password_file")
_FILES = ("kafka_ssl_ca_location", "kafka_ssl_certificate_location")


@dataclass(frozen=True)
class Placement:
    """Where and as whom a job runs.

    Attributes:
        cluster: the cluster's name; None is serverless.
        runtime: serverless runtime or image of the cluster, e.g. ``3.0``.
        ttl: after which Dataproc ends a serverless batch, e.g. ``12h``.
        properties: of Spark.
    """

    cluster: str | None
    runtime: str
    project: str | None
    region: str
    service_account: str | None = None
    subnetwork: str | None = None
    container_image: str | None = None
    ttl: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def spark(self) -> str:
        """The version of Spark there.

        Raises:
            BytemeterError: the runtime is none that Bytemeter knows.
        """
        known = CLUSTER_IMAGES if self.cluster else SERVERLESS_RUNTIMES
        if self.runtime not in known:
            kind = "cluster images" if self.cluster else "serverless runtimes"
            raise BytemeterError(f"--runtime {self.runtime} is not known; of the {kind} give {' or '.join(known)}")
        return known[self.runtime]

    def where(self) -> list[str]:
        """The flags by which each command names project and region."""
        return [*([f"--project={self.project}"] if self.project else []), f"--region={self.region}"]


@dataclass(frozen=True)
class Submission:
    """A job with the arguments of its main, and the id by which Dataproc knows this run."""

    job: Job
    arguments: tuple[str, ...]
    id: str

    @property
    def lasts(self) -> bool:
        """Whether it is meant to run until somebody ends it."""
        return self.job.name == "stream" and "--once" not in self.arguments


def run_id(job: Job, arguments: Sequence[str], shipment: Shipment, now: dt.datetime, attempt: int, lasts: bool) -> str:
    """The id of a run: the same for the same job, arguments, code and attempt within an hour; of a stream, a minute.

    Dataproc refuses an id that it knows, so that a call that is repeated, e.g. by a scheduler that has missed the
    answer, does not run a second time.
    """
    slot = f"{now:%Y%m%d-%H%M}" if lasts else f"{now:%Y%m%d-%H}"
    same = "\n".join([*arguments, shipment.folder.name, str(attempt)])
    return f"bytemeter-{job.name}-{slot}-{hashlib.sha256(same.encode()).hexdigest()[:8]}"


def job_arguments(job: Job, settings: Settings, options: Sequence[str]) -> tuple[str, ...]:
    """The arguments of the main: the job's own, and the endpoints that the settings name. No password is among them.

    Raises:
        BytemeterError: a setting has a password that would have to stand in an argument.
    """
    endpoints = {
        "kafka": ["--kafka", settings.kafka],
        "database_url": ["--database-url-secret", settings.database_url_secret],
        "history": ["--history", settings.history],
    }
    given = [endpoints[name] for name in job.needs if endpoints[name][1] is not None]
    return (*options, *(str(text) for pair in given for text in pair))


def upload(shipment: Shipment, placement: Placement) -> list[str]:
    """Copies what the bucket lacks."""
    project = [f"--project={placement.project}"] if placement.project else []
    return [
        *("gcloud", "storage", "cp", "--recursive", "--no-clobber"),
        *project,
        f"{shipment.folder}/*",
        f"{shipment.code}/",
    ]


def submit(submission: Submission, shipment: Shipment, placement: Placement, settings: Settings) -> list[str]:
    """Starts the run, and for a recompute waits for its end."""
    flags = [
        f"--py-files={shipment.uri(shipment.archive)}",
        f"--jars={','.join(map(shipment.uri, shipment.jars))}",
        f"--labels=app=bytemeter,job={submission.job.name}",
        *(["--async"] if submission.lasts else []),
    ]
    specific = _cluster if placement.cluster else _serverless
    kind = "jobs" if placement.cluster else "batches"
    return [
        *("gcloud", "dataproc", kind, "submit", "pyspark", shipment.uri(shipment.main)),
        *placement.where(),
        *flags,
        *specific(submission, shipment, placement, settings),
        *("--", *submission.arguments),
    ]


def wait(submission: Submission, placement: Placement) -> list[str]:
    """Waits for the end of a run that was started before, and fails if it failed."""
    kind = "jobs" if placement.cluster else "batches"
    return ["gcloud", "dataproc", kind, "wait", submission.id, *placement.where()]


def _cluster(submission: Submission, _: Shipment, placement: Placement, settings: Settings) -> list[str]:
    memory = {"spark.driver.memory": settings.driver_memory} if "driver_memory" in settings.model_fields_set else {}
    return [
        f"--id={submission.id}",
        f"--cluster={placement.cluster}",
        *_properties({**memory, **placement.properties}),
        *(
            [f"--max-failures-per-hour={_FAILURES_PER_HOUR}", f"--max-failures-total={_FAILURES_IN_ALL}"]
            if submission.lasts
            else []
        ),
    ]


def _serverless(submission: Submission, shipment: Shipment, placement: Placement, settings: Settings) -> list[str]:
    variables = {f"spark.dataproc.driverEnv.{name}": value for name, value in batch_variables(settings).items()}
    if shipment.files:
        variables["spark.dataproc.driverEnv.PGSSLROOTCERT"] = shipment.files[0].rpartition("/")[2]
    given = {
        "version": placement.runtime,
        "ttl": placement.ttl or (_LONGEST_TTL if submission.lasts else None),
        "container-image": placement.container_image,
        "service-account": placement.service_account,
        "subnet": placement.subnetwork,
        "files": ",".join(map(shipment.uri, shipment.files)) or None,
    }
    fixed = _STREAM_ON_SERVERLESS if submission.lasts else {}
    return [
        f"--batch={submission.id}",
        *(f"--{name}={value}" for name, value in given.items() if value is not None),
        *_properties({**fixed, **variables, **placement.properties}),
    ]


def batch_variables(settings: Settings) -> dict[str, str]:
    """The settings that a serverless batch gets as variables: those that were set here, and may be shown.

    Raises:
        BytemeterError: a setting names a file of this machine, which a batch does not have.
    """
    if local := next((name for name in _FILES if getattr(settings, name) is not None), None):
        raise BytemeterError(
            f"{PREFIX}{local.upper()} names a file of this machine, which a serverless batch does not have; unset it "
            "(the authorities of the container image are trusted), or use a cluster"
        )
    return {PREFIX + name.upper(): str(value) for name, value in _handed_on(settings).items()}


def left_out(settings: Settings, *, serverless: bool) -> list[str]:
    """The variables that are set here and do not reach the job: passwords, and on a cluster all but the endpoints."""
    secrets = [name for name in _OF_THIS_MACHINE[:1] + _OF_THIS_MACHINE[2:3] if getattr(settings, name) is not None]
    others = [] if serverless else [*_handed_on(settings), *(n for n in _FILES if getattr(settings, n) is not None)]
    return [PREFIX + name.upper() for name in (*secrets, *others)]


def _handed_on(settings: Settings) -> dict[str, Any]:
    shown = settings.model_fields_set - _NOT_AS_VARIABLES - {*_OF_THIS_MACHINE, *_FILES}
    return {
        name: getattr(settings, name)
        for name in sorted(shown)
        if not name.startswith("submit_") and getattr(settings, name) is not None
    }


def _properties(properties: Mapping[str, str]) -> list[str]:
    """The flag of Spark's properties; their values may have commas, by which gcloud separates them unless told otherwise.

    Raises:
        BytemeterError: no character is left to separate them.
    """
    if not properties:
        return []
    text = "".join(f"{name}={value}" for name, value in properties.items())
    separator = next((mark for mark in ",;|#~@" if mark not in text), None)
    if separator is None:
        raise BytemeterError("the properties of Spark have each of ,;|#~@ in them; leave one of these out")
    joined = separator.join(f"{name}={value}" for name, value in properties.items())
    return [f"--properties={joined}" if separator == "," else f"--properties=^{separator}^{joined}"]
