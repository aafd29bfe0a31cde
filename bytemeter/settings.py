"""Settings: one frozen object, read once from the environment and the flags of a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bytemeter.errors import BytemeterError
from bytemeter.secret_files import read_private, read_secret
from bytemeter.secret_manager import read_secret_version

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
    if not {"user", "password"} & set(url.query):
        return value
    # Moved to where all that shows a URL hides it.
    user, password = (url.query.get(name) for name in ("user", "password"))
    moved = url.set(username=str(user or url.username or ""), password=str(password or url.password or ""))
    return SecretStr(moved.difference_update_query(["user", "password"]).render_as_string(hide_password=False))


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


def _pem_file(value: Path | None) -> Path | None:
    if value is None:
        return None
    try:
        content = value.read_bytes()
    except OSError as error:
        raise ValueError(f"{str(value)!r} cannot be read: {error.strerror}; name a PEM file") from None
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ValueError(f"{str(value)!r} has no line -----BEGIN CERTIFICATE-----; name a PEM file")
    return value.absolute()


def _certificate_with_key(value: Path | None) -> Path | None:
    if value is not None and "-----BEGIN PRIVATE KEY-----" not in read_private(value, _MOST_PEM_BYTES):
        raise ValueError(
            f"{str(value)!r} has no line -----BEGIN PRIVATE KEY-----; append the key, as PKCS#8 without a passphrase"
        )
    return value


def _secret_file(value: Any) -> SecretStr | None:
    return None if value is None else read_secret(Path(value))


_SecretFile = Annotated[SecretStr | None, BeforeValidator(_secret_file)]
_PemFile = Annotated[Path | None, AfterValidator(_pem_file)]
_MOST_PEM_BYTES = 1_000_000
# A secret of Google's Secret Manager; without a version the latest one.
_SECRET_NAME = r"^projects/[^/]+/secrets/[A-Za-z0-9_-]+(/versions/[A-Za-z0-9_-]+)?$"  # noqa: S105, a pattern
# Settings that may come from Secret Manager, by the setting that names the secret.
_FROM_SECRETS = {"database_url_secret": "database_url", "kafka_sasl_password_secret": "kafka_sasl_password"}

# A header of a request with one of these words in its name carries a secret.
_SECRET_HEADERS = "authorization,cookie,token,secret,password,api-key,signature,session,csrf,xsrf"  # noqa: S105


def _time_zone(value: str) -> str:
    # Imported here: most commands name no zone.
    from bytemeter.instants import zones

    if value not in zones():
        raise ValueError(f"{value!r} is not the name of an IANA time zone; give e.g. Europe/Warsaw")
    return value


def _folder(value: Path | None) -> Path | None:
    if value is not None and not value.is_dir():
        raise ValueError(f"{str(value)!r} is not a folder")
    return value and value.absolute()


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
    kafka: Annotated[str | None, AfterValidator(_bootstrap_servers)] = None
    database_url_file: Annotated[_SecretFile, AfterValidator(_database_url)] = None
    database_url: Annotated[SecretStr | None, AfterValidator(_database_url)] = Field(None, validate_default=True)
    database_url_secret: str | None = Field(None, pattern=_SECRET_NAME)
    history: Annotated[str | None, AfterValidator(_history_root)] = None

    kafka_security_protocol: str | None = Field(None, pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    kafka_sasl_mechanism: str | None = Field(None, pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")
    kafka_sasl_username: str | None = None
    kafka_sasl_password_file: _SecretFile = None
    kafka_sasl_password: SecretStr | None = Field(None, validate_default=True)
    kafka_sasl_password_secret: str | None = Field(None, pattern=_SECRET_NAME)
    kafka_ssl_ca_location: _PemFile = None
    kafka_ssl_certificate_location: Annotated[_PemFile, AfterValidator(_certificate_with_key)] = None

    submit_code: str | None = Field(None, pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$")
    submit_project: str | None = None
    submit_region: str | None = None
    submit_service_account: str | None = None
    submit_subnetwork: str | None = None
    submit_container_image: str | None = None
    submit_postgresql_ca: _PemFile = None

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
    billing_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    telemetry_schemas: Annotated[Path | None, AfterValidator(_folder)] = None
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


def with_values(settings: Settings, **values: Any) -> Settings:
    """The settings with these values, each held against what its own setting expects.

    Raises:
        BytemeterError: see ``load_settings``.
    """
    fields = {name: (Settings.model_fields[name].annotation, Settings.model_fields[name]) for name in values}
    with _one_line():
        # Settings itself would read the environment once more, against which flags have won already.
        valid = create_model("Values", **fields)(**values)  # type: ignore[call-overload]
    return settings.model_copy(update={name: getattr(valid, name) for name in values})


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
                found[setting] = _database_url(value) if setting == "database_url" else value
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
