"""Settings: one frozen object, read once from the environment and the flags of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from bytemeter import setting_values as values
from bytemeter.errors import BytemeterError
from bytemeter.secret_manager import read_secret_version

PREFIX = "BYTEMETER_"


# A secret of Google's Secret Manager; without a version the latest one.
_SECRET_NAME = r"^projects/[^/]+/secrets/[A-Za-z0-9_-]+(/versions/[A-Za-z0-9_-]+)?$"  # noqa: S105, a pattern
# Settings that may come from Secret Manager, by the setting that names the secret.
_FROM_SECRETS = {"database_url_secret": "database_url", "kafka_sasl_password_secret": "kafka_sasl_password"}

# A header of a request with one of these words in its name carries a secret.
_SECRET_HEADERS = "authorization,cookie,token,secret,password,api-key,signature,session,csrf,xsrf"  # noqa: S105


class Settings(BaseSettings):
    """The settings in force; a flag wins over its variable.

    ``kafka``, ``database_url`` and ``history`` are all None if the embedded stack of ``home`` is to be used.
    Passwords are ``SecretStr``: they show neither in ``repr`` nor in logs. ``…_file`` hold what their files say, and so
    do the settings that they stand for. ``…_secret`` name secrets, which ``with_secrets`` reads.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    home: Path = Path(".bytemeter")
    kafka: Annotated[str | None, AfterValidator(values.bootstrap_servers)] = None
    database_url_file: Annotated[values.SecretFile, AfterValidator(values.database_url)] = None
    database_url: Annotated[SecretStr | None, AfterValidator(values.database_url)] = Field(None, validate_default=True)
    database_url_secret: str | None = Field(None, pattern=_SECRET_NAME)
    history: Annotated[str | None, AfterValidator(values.history_root)] = None

    kafka_security_protocol: str | None = Field(None, pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    kafka_sasl_mechanism: str | None = Field(None, pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")
    kafka_sasl_username: str | None = None
    kafka_sasl_password_file: values.SecretFile = None
    kafka_sasl_password: SecretStr | None = Field(None, validate_default=True)
    kafka_sasl_password_secret: str | None = Field(None, pattern=_SECRET_NAME)
    kafka_ssl_ca_location: values.PemFile = None
    kafka_ssl_certificate_location: Annotated[values.PemFile, AfterValidator(values.certificate_with_key)] = None

    submit_code: str | None = Field(None, pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$")
    submit_project: str | None = None
    submit_region: str | None = None
    submit_service_account: str | None = None
    submit_subnetwork: str | None = None
    submit_container_image: str | None = None
    submit_postgresql_ca: values.PemFile = None

    topic_prefix: str = Field("", pattern="^[a-zA-Z0-9._-]*$")
    partitions: int = Field(3, ge=1, le=10_000)
    max_records_per_batch: int = Field(500_000, ge=1)
    max_bytes_per_batch: int = Field(256 * 2**20, ge=2**24, le=2**29)
    invalid_payload_bytes: int = Field(65_536, ge=0, le=2**20)
    live_interval_s: float = Field(0, ge=0)
    history_interval_s: float = Field(30, ge=0)
    history_retention_h: float = Field(168, ge=1)
    identity_horizon_s: float = Field(172_800, ge=0)
    period_grace_s: float = Field(3_600, ge=0)
    partition_idle_s: float = Field(600, ge=0)
    billing_zone: Annotated[str, AfterValidator(values.time_zone)] = "UTC"
    telemetry_schemas: Annotated[Path | None, AfterValidator(values.folder)] = None
    lease_s: float = Field(30, gt=0)
    schedule: str = ""
    collector_body_bytes: int = Field(8 * 2**20, ge=1_024, le=2**30)
    collector_events: int = Field(100_000, ge=1, le=2_000_000)
    collector_timeout_s: float = Field(10, gt=0, le=300)
    collector_journal_bytes: int = Field(2**30, ge=2**20)
    collector_secret_headers: str = _SECRET_HEADERS
    api_requests_per_s: float = Field(100, gt=0)
    api_connections: int = Field(8, ge=1, le=18)
    api_timeout_s: int = Field(5, ge=1, le=300)
    api_streams: int = Field(1_000, ge=1, le=1_900)
    class_archive: bool = True
    driver_memory: str = Field("2g", pattern="^[0-9]+[mg]$")
    log_format: str = Field("console", pattern="^(console|json)$")

    @field_validator("database_url", "kafka_sasl_password", mode="before")
    @classmethod
    def _from_file(cls, value: Any, info: ValidationInfo) -> Any:
        """The secret, or what its file says."""
        name = f"{info.field_name}_file"
        in_file = info.data.get(name)
        if value is not None and in_file is not None:
            raise ValueError(f"set, and so is {PREFIX}{name.upper()}; unset one of them")
        return in_file if value is None else value

    @model_validator(mode="after")
    def _secrets_have_one_source(self) -> Self:
        for name, setting in _FROM_SECRETS.items():
            if getattr(self, name) is not None and getattr(self, setting) is not None:
                raise ValueError(
                    f"{PREFIX}{name.upper()} is set, and so is {PREFIX}{setting.upper()} or its _FILE; "
                    "unset one of them"
                )
        return self

    @model_validator(mode="after")
    def _kafka_is_consistent(self) -> Self:
        """Refuse settings with which a client would connect in clear, or without a login, although others are meant."""
        protocol = self.kafka_security_protocol or "PLAINTEXT"
        login = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
        certificates = ("kafka_ssl_ca_location", "kafka_ssl_certificate_location")
        given = {"kafka_sasl_password"} if self.kafka_sasl_password_secret else set()
        lacking = [n for n in login if "SASL" in protocol and getattr(self, n) is None and n not in given]
        if lacking:
            needed = " and ".join(PREFIX + name.upper() for name in lacking)
            raise ValueError(f"{PREFIX}KAFKA_SECURITY_PROTOCOL is {protocol}, which needs {needed}")
        kinds: tuple[tuple[tuple[str, ...], bool, str], ...] = (
            (login, protocol.startswith("SASL"), "SASL_SSL"),
            (certificates, protocol.endswith("SSL"), "SASL_SSL or SSL"),
        )
        for names, useful, fitting in kinds:
            needless = [PREFIX + name.upper() for name in names if getattr(self, name) is not None]
            if needless and not useful:
                raise ValueError(
                    f"{needless[0]} is set, but {PREFIX}KAFKA_SECURITY_PROTOCOL is {protocol}; set it to {fitting}"
                )
        return self

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
    if {"database_url", "database_url_secret"} & set(given):
        given = {"database_url": None, "database_url_file": None, "database_url_secret": None, **given}
    with _one_line():
        return Settings(**given)


def with_values(settings: Settings, **changes: Any) -> Settings:
    """The settings with these values, each held against what its own setting expects.

    Raises:
        BytemeterError: see ``load_settings``.
    """
    fields = {name: (Settings.model_fields[name].annotation, Settings.model_fields[name]) for name in changes}
    with _one_line():
        # Settings itself would read the environment once more, against which flags have won already.
        valid = create_model("Values", **fields)(**changes)  # type: ignore[call-overload]
    return settings.model_copy(update={name: getattr(valid, name) for name in changes})


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise BytemeterError("; ".join(_complaint(e) for e in error.errors(include_url=False))) from None


def with_secrets(settings: Settings) -> Settings:
    """The settings with what Secret Manager holds for them; the same ones where none names a secret.

    Raises:
        BytemeterError: a secret cannot be read, or is not what its setting needs; one line without its value.
    """
    found: dict[str, Any] = {}
    for name, setting in _FROM_SECRETS.items():
        if (secret := getattr(settings, name)) is not None:
            try:
                value = read_secret_version(secret)
                found[setting] = values.database_url(value) if setting == "database_url" else value
            except ValueError as error:
                raise BytemeterError(f"{PREFIX}{name.upper()}: {error}") from None
    return settings.model_copy(update=found) if found else settings


def _complaint(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = PREFIX + "_".join(str(part) for part in error["loc"]).upper()
    secret = isinstance(error["input"], SecretStr) or "URL" in name or "PASSWORD" in name
    value = error["input"]
    seen = "" if secret or message.startswith((repr(value), repr(str(value)))) else f"{value!r}: "
    return f"{name}: {seen}{message}"
