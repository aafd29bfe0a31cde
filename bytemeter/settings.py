"""Settings: one frozen object, read once from the environment and the flags of a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bytemeter.errors import BytemeterError

PREFIX = "BYTEMETER_"


def _bootstrap_servers(value: str | None) -> str | None:
    for server in (value or "").split(","):
        host, _, port = server.rpartition(":")
        if value is not None and not (host and port.isdigit()):
            raise ValueError(f"{server!r} is not HOST:PORT; give e.g. localhost:9092")
    return value


def _database_url(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    expected = "expected postgresql://user:password@host:port/database"
    try:
        url = make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        raise ValueError(f"not a URL; {expected}") from None
    # The URL is not shown: a password may stand in any of its parts.
    if url.drivername not in ("postgresql", "postgres"):
        raise ValueError(f"the URL does not start with postgresql://; {expected}")
    if "@" in f"{url.host}{url.database}":
        raise ValueError(
            f"the URL has more than one @ or a / before it; write them as %40 and %2F in a password; {expected}"
        )
    lacking = " and ".join(f"a {part}" for part in ("host", "database") if not getattr(url, part))
    if lacking:
        raise ValueError(f"the URL lacks {lacking}; {expected}")
    return value


# pyarrow reads %20 in a URI as a space and refuses a space, Hadoop takes both as they are.
_PLAIN_URI = re.compile(r"[a-z]+://[A-Za-z0-9._/-]+")


def _history_root(value: str | None) -> str | None:
    if not value:
        return value
    if "://" not in value:
        return str(Path(value).absolute())
    if not value.startswith(("gs://", "file://")):
        raise ValueError(f"{value!r} is not a folder or gs://bucket/prefix")
    if not _PLAIN_URI.fullmatch(value):
        raise ValueError(
            f"{value!r} has other characters than letters, digits and -._/, the only ones that a URI may have here"
        )
    return value.rstrip("/")


class Settings(BaseSettings):
    """The settings in force; a flag wins over its variable.

    ``kafka``, ``database_url`` and ``history`` are all None if the embedded stack of ``home`` is to be used.
    Passwords are ``SecretStr``: they show neither in ``repr`` nor in logs.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Path(".bytemeter")
    kafka: Annotated[str | None, AfterValidator(_bootstrap_servers)] = None
    database_url: Annotated[SecretStr | None, AfterValidator(_database_url)] = None
    history: Annotated[str | None, AfterValidator(_history_root)] = None

    kafka_security_protocol: str | None = Field(None, pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    kafka_sasl_mechanism: str | None = Field(None, pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_location: Path | None = None

    topic_prefix: str = Field("", pattern="^[a-zA-Z0-9._-]*$")
    partitions: int = Field(3, ge=1, le=10_000)
    max_records_per_batch: int = Field(500_000, ge=1)
    live_interval_s: float = Field(0, ge=0)
    history_interval_s: float = Field(30, ge=0)
    identity_horizon_s: float = Field(172_800, ge=0)
    period_grace_s: float = Field(3_600, ge=0)
    partition_idle_s: float = Field(600, ge=0)
    class_archive: bool = True
    driver_memory: str = Field("2g", pattern="^[0-9]+[mg]$")
    log_format: str = Field("console", pattern="^(console|json)$")

    def require_database_url(self) -> str:
        """The URL of the database, with its password.

        Raises:
            BytemeterError: it is not set.
        """
        if self.database_url is None:
            raise _not_set("DATABASE_URL", "postgresql://user:password@host:port/database")
        return self.database_url.get_secret_value()

    def require_history(self) -> str:
        """The folder or bucket of the history.

        Raises:
            BytemeterError: it is not set.
        """
        if self.history is None:
            raise _not_set("HISTORY", "a folder or gs://bucket/prefix")
        return self.history


def _not_set(name: str, expected: str) -> BytemeterError:
    return BytemeterError(f"{PREFIX}{name} is not set; expected {expected}")


def load_settings(**flags: Any) -> Settings:
    """Read the settings; a flag that is None is read from the environment.

    Raises:
        BytemeterError: one line that names every malformed setting, its value and what is expected.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise BytemeterError("; ".join(_complaint(e) for e in error.errors(include_url=False))) from None


def _complaint(error: Any) -> str:
    name = PREFIX + "_".join(str(part) for part in error["loc"]).upper()
    message = error["msg"].removeprefix("Value error, ")
    secret = isinstance(error["input"], SecretStr) or "URL" in name or "PASSWORD" in name
    seen = "" if secret or message.startswith(repr(error["input"])) else f"{error['input']!r}: "
    return f"{name}: {seen}{message}"
