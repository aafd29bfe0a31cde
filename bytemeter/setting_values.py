"""What the values of single settings must be: each function takes a value and returns it, or says what was expected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bytemeter.secret_files import read_private, read_secret
from bytemeter.zones import zones

_MOST_PEM_BYTES = 1_000_000


def bootstrap_servers(value: str | None) -> str | None:
    """``HOST:PORT``, several with commas."""
    for server in (value or "").split(","):
        host, _, port = server.rpartition(":")
        if value is not None and not (host and port.isdigit()):
            raise ValueError(f"{server!r} is not HOST:PORT; give e.g. localhost:9092")
    return value


def database_url(value: SecretStr | None) -> SecretStr | None:
    """A URL of PostgreSQL; a user and a password in its query are moved before the host."""
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


def history_root(value: str | None) -> str | None:
    """A folder, made absolute, or ``gs://bucket/prefix``."""
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


def pem_file(value: Path | None) -> Path | None:
    """A file with a certificate in PEM."""
    if value is None:
        return None
    try:
        content = value.read_bytes()
    except OSError as error:
        raise ValueError(f"{str(value)!r} cannot be read: {error.strerror}; name a PEM file") from None
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ValueError(f"{str(value)!r} has no line -----BEGIN CERTIFICATE-----; name a PEM file")
    return value.absolute()


def certificate_with_key(value: Path | None) -> Path | None:
    """A PEM file that has the private key, too, and that only its owner may read."""
    if value is not None and "-----BEGIN PRIVATE KEY-----" not in read_private(value, _MOST_PEM_BYTES):
        raise ValueError(
            f"{str(value)!r} has no line -----BEGIN PRIVATE KEY-----; append the key, as PKCS#8 without a passphrase"
        )
    return value


def secret_file(value: Any) -> SecretStr | None:
    """What the file says."""
    return None if value is None else read_secret(Path(value))


SecretFile = Annotated[SecretStr | None, BeforeValidator(secret_file)]
PemFile = Annotated[Path | None, AfterValidator(pem_file)]


def time_zone(value: str) -> str:
    """The name of an IANA time zone."""
    if value not in zones():
        raise ValueError(f"{value!r} is not the name of an IANA time zone; give e.g. Europe/Warsaw")
    return value


def folder(value: Path | None) -> Path | None:
    """A folder that exists, made absolute."""
    if value is not None and not value.is_dir():
        raise ValueError(f"{str(value)!r} is not a folder")
    return value and value.absolute()
