"""Which settings of this machine reach a job on Dataproc: as arguments of its main, or as variables of its driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bytemeter.errors import BytemeterError
from bytemeter.jdbc import jdbc_url
from bytemeter.job import Job
from bytemeter.settings import PREFIX, Settings

_SECRETS = frozenset({"database_url", "database_url_file", "kafka_sasl_password", "kafka_sasl_password_file"})
# Files of this machine.
_FILES = ("kafka_ssl_ca_location", "kafka_ssl_certificate_location")
_ARGUMENTS = frozenset({"kafka", "database_url_secret", "history"})
# About this machine, or, as the memory, given to Spark.
_LOCAL = frozenset({"home", "class_archive", "driver_memory", "schedule"})


def job_arguments(job: Job, settings: Settings, options: Sequence[str], *, serverless: bool) -> tuple[str, ...]:
    """The arguments of the main: the job's own, and the endpoints that are set. No password is among them.

    Raises:
        BytemeterError: a serverless batch would lack an endpoint, which nothing but its arguments can name.
    """
    given = {
        "kafka": ("--kafka", settings.kafka),
        "database_url": _database(settings),
        "history": ("--history", settings.history),
    }
    lacking = [name for name in job.needs if given[name][1] is None]
    if serverless and lacking:
        names = [f"{PREFIX}{name.upper()}" + ("_SECRET" if name == "database_url" else "") for name in lacking]
        raise BytemeterError(
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set, which a serverless batch needs: it "
            "has no settings of its own"
        )
    return (*options, *(str(text) for name in job.needs if name not in lacking for text in given[name]))


def _database(settings: Settings) -> tuple[str, str | None]:
    """The secret that holds the URL, or the URL if it has no password: then a file on the driver's machine has it."""
    if settings.database_url is None or settings.database_url_secret:
        return "--database-url-secret", settings.database_url_secret
    url = settings.database_url.get_secret_value()
    return "--jdbc-url", None if _password(settings) else jdbc_url(url)


def _password(settings: Settings) -> bool:
    from sqlalchemy.engine import make_url

    return settings.database_url is not None and bool(make_url(settings.database_url.get_secret_value()).password)


def batch_variables(settings: Settings) -> dict[str, str]:
    """The settings that a serverless batch gets as variables: those that were set here, and may be shown.

    Raises:
        BytemeterError: a setting has a password or names a file, which a batch would lack.
    """
    if settings.kafka_sasl_password is not None and settings.kafka_sasl_password_secret is None:
        raise BytemeterError(
            f"{PREFIX}KAFKA_SASL_PASSWORD does not reach a serverless batch; put the password into Secret Manager and "
            f"set {PREFIX}KAFKA_SASL_PASSWORD_SECRET in its place"
        )
    if local := next((name for name in _FILES if getattr(settings, name) is not None), None):
        raise BytemeterError(
            f"{PREFIX}{local.upper()} names a file of this machine, which a serverless batch does not have; unset it "
            "(the authorities of the container image are trusted), or use a cluster"
        )
    return {PREFIX + name.upper(): str(value) for name, value in _shown(settings).items()}


def left_out(settings: Settings, *, serverless: bool) -> list[str]:
    """The variables that are set here and do not reach the job: passwords, and on a cluster all but the endpoints."""
    names = ["database_url"] if _password(settings) else []
    if not serverless:
        names += [name for name in ("kafka_sasl_password", *_FILES) if getattr(settings, name) is not None]
        names += _shown(settings)
    return [PREFIX + name.upper() for name in names]


def _shown(settings: Settings) -> dict[str, Any]:
    """The settings that were set here, that are no endpoints, and that are no secret."""
    names = settings.model_fields_set - _SECRETS - _ARGUMENTS - _LOCAL - {*_FILES}
    return {
        name: getattr(settings, name)
        for name in sorted(names)
        if not name.startswith("submit_") and getattr(settings, name) is not None
    }
