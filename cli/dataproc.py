"""The commands of gcloud by which a job runs on Dataproc, as lists of arguments. They hold no secret."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bytemeter.errors import BytemeterError
from bytemeter.job import Job
from bytemeter.settings import Settings
from bytemeter.shipping import Shipment
from cli.handover import batch_variables

# A batch that nobody ends is ended by Dataproc after 4 hours unless it says otherwise; 14 days are the most.
_LONGEST_TTL = "14d"
# How often Dataproc starts a streaming job of a cluster again that failed.
_FAILURES_PER_HOUR, _FAILURES_IN_ALL = 10, 240
# Executors of a stream are all busy in each micro-batch: their number is fixed.
_STREAM_ON_SERVERLESS = {"spark.dynamicAllocation.enabled": "false", "spark.executor.instances": "2"}


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
    def kind(self) -> str:
        """What gcloud calls runs there."""
        return "jobs" if self.cluster else "batches"

    def where(self) -> list[str]:
        """The flags by which each command names project and region."""
        return [*([f"--project={self.project}"] if self.project else []), f"--region={self.region}"]


@dataclass(frozen=True)
class Submission:
    """A job with the arguments of its main and its place.

    Attributes:
        flags: of the command that submits it, all but its id and labels.
    """

    job: Job
    arguments: tuple[str, ...]
    shipment: Shipment
    placement: Placement
    flags: tuple[str, ...]

    @property
    def lasts(self) -> bool:
        """Whether it is meant to run until somebody ends it."""
        return lasts(self.job, self.arguments)

    @property
    def digest(self) -> str:
        """The same for the same code, arguments, place and flags."""
        where = [self.placement.cluster or "serverless", *self.placement.where(), self.shipment.folder.name]
        return _digest([*where, *self.flags, *self.arguments])

    def id(self, now: dt.datetime, attempt: int) -> str:
        """The id of a run: the same for the same submission and attempt within an hour; of a stream, a minute.

        Dataproc refuses an id that it knows, so that a call that is repeated, e.g. by a scheduler that has missed the
        answer, does not run a second time.
        """
        slot = f"{now:%Y%m%d-%H%M}" if self.lasts else f"{now:%Y%m%d-%H}"
        return f"bytemeter-{self.job.name}-{slot}-{self.digest}" + (f"-{attempt}" if attempt > 1 else "")

    @property
    def labels(self) -> dict[str, str]:
        """By which runs are found again: ``run`` names all of the submission, ``arguments`` what it counts."""
        return {
            "app": "bytemeter",
            "job": self.job.name,
            "arguments": _digest(self.arguments),
            "run": self.digest,
        }


def location(bucket: str, placement: Placement) -> list[str]:
    """Prints where a bucket is: a region such as ``EUROPE-WEST1``, or several, such as ``EU``."""
    project = [f"--project={placement.project}"] if placement.project else []
    return ["gcloud", "storage", "buckets", "describe", *project, "--format=value(location)", bucket]


def lasts(job: Job, arguments: tuple[str, ...]) -> bool:
    """Whether a job with these arguments is meant to run until somebody ends it."""
    return job.name == "stream" and "--once" not in arguments


def submission(
    job: Job, arguments: tuple[str, ...], shipment: Shipment, placement: Placement, settings: Settings
) -> Submission:
    """The submission of a job.

    Raises:
        BytemeterError: see ``batch_variables``; or the properties cannot be written as one flag.
    """
    specific = _cluster if placement.cluster else _serverless
    return Submission(
        job,
        arguments,
        shipment,
        placement,
        (
            f"--py-files={shipment.uri(shipment.archive)}",
            f"--jars={','.join(map(shipment.uri, shipment.jars))}",
            *specific(shipment, placement, settings, lasting=lasts(job, arguments)),
        ),
    )


def upload(shipment: Shipment, placement: Placement) -> list[str]:
    """Copies what the bucket lacks."""
    project = [f"--project={placement.project}"] if placement.project else []
    return [
        *("gcloud", "storage", "cp", "--recursive", "--no-clobber"),
        *project,
        f"{shipment.folder}/*",
        f"{shipment.code}/",
    ]


def start(submission: Submission, run: str) -> list[str]:
    """Starts the run of this id, and for a recompute waits for its end."""
    placement, shipment = submission.placement, submission.shipment
    return [
        *("gcloud", "dataproc", placement.kind, "submit", "pyspark", shipment.uri(shipment.main)),
        *placement.where(),
        f"--id={run}" if placement.cluster else f"--batch={run}",
        f"--labels={','.join(f'{name}={value}' for name, value in submission.labels.items())}",
        *submission.flags,
        *(["--async"] if submission.lasts else []),
        *("--", *submission.arguments),
    ]


def wait(run: str, placement: Placement) -> list[str]:
    """Waits for the end of a run that was started before, and fails if it failed."""
    return ["gcloud", "dataproc", placement.kind, "wait", run, *placement.where()]


def running(submission: Submission) -> list[str]:
    """Prints the label ``run`` and the id of each run that goes on and has the same arguments."""
    placement = submission.placement
    labels = " AND ".join(f"labels.{name} = {submission.labels[name]}" for name in ("app", "job", "arguments"))
    # Filters of jobs know no OR, those of batches no group of states.
    states = "status.state = ACTIVE" if placement.cluster else "(state = PENDING OR state = RUNNING)"
    shown = "labels.run,reference.jobId" if placement.cluster else "labels.run,name.basename()"
    return [
        *("gcloud", "dataproc", placement.kind, "list", *placement.where()),
        *([f"--cluster={placement.cluster}"] if placement.cluster else []),
        f"--filter={states} AND {labels}",
        f"--format=value({shown})",
    ]


def image(cluster: str, placement: Placement) -> list[str]:
    """Prints the version of a cluster's image, e.g. ``3.0.3-debian12``."""
    return [
        *("gcloud", "dataproc", "clusters", "describe", cluster, *placement.where()),
        "--format=value(config.softwareConfig.imageVersion)",
    ]


def _digest(texts: tuple[str, ...] | list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def _memory(settings: Settings) -> dict[str, str]:
    return {"spark.driver.memory": settings.driver_memory} if "driver_memory" in settings.model_fields_set else {}


def _cluster(_: Shipment, placement: Placement, settings: Settings, *, lasting: bool) -> list[str]:
    failures = [f"--max-failures-per-hour={_FAILURES_PER_HOUR}", f"--max-failures-total={_FAILURES_IN_ALL}"]
    return [
        f"--cluster={placement.cluster}",
        *_properties({**_memory(settings), **placement.properties}),
        *(failures if lasting else []),
    ]


def _serverless(shipment: Shipment, placement: Placement, settings: Settings, *, lasting: bool) -> list[str]:
    variables = {f"spark.dataproc.driverEnv.{name}": value for name, value in batch_variables(settings).items()}
    if shipment.files:
        variables["spark.dataproc.driverEnv.PGSSLROOTCERT"] = shipment.files[0].rpartition("/")[2]
    given = {
        "version": placement.runtime,
        "ttl": placement.ttl or (_LONGEST_TTL if lasting else None),
        "container-image": placement.container_image,
        "service-account": placement.service_account,
        "subnet": placement.subnetwork,
        "files": ",".join(map(shipment.uri, shipment.files)) or None,
    }
    fixed = _STREAM_ON_SERVERLESS if lasting else {}
    return [
        # By default runtime 3.0 lends the job the login of whoever submits it, which ends.
        "--user-workload-authentication-type=SERVICE_ACCOUNT",
        *(f"--{name}={value}" for name, value in given.items() if value is not None),
        *_properties({**fixed, **_memory(settings), **variables, **placement.properties}),
    ]


def _properties(properties: Mapping[str, str]) -> list[str]:
    """The flag of Spark's properties. gcloud separates them by commas, or by another character that the flag names.

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
