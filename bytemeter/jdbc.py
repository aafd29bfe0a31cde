"""JDBC: the URL that the mains of jobs take, and the options by which executors connect as the driver does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bytemeter.errors import BytemeterError

# Parameters that both drivers have: pgjdbc's name and libpq's.
_LIBPQ_NAMES = {
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "sslNegotiation": "sslnegotiation",
    "channelBinding": "channel_binding",
    "gssEncMode": "gssencmode",
    "options": "options",
}
# Parameters of libpq that pgjdbc lacks, with the value that makes no difference.
_LACKING = {
    "sslcrl": "",
    "sslcrldir": "",
    "sslcertmode": "allow",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "",
    "requirepeer": "",
    "require_auth": "",
}
# What pgjdbc does anyway is left to it: to ask for more would cost it time, or is not the same in both drivers.
_DEFAULTS = {"sslnegotiation": "postgres", "channel_binding": "prefer", "gssencmode": "prefer"}


def url_from_jdbc(jdbc_url: str) -> str:
    """Convert ``jdbc:postgresql://host:port/db?user=U&password=P`` to ``postgresql://U:P@host:port/db``.

    Raises:
        BytemeterError: the URL does not have this form, or has a parameter that libpq lacks.
    """
    try:
        parts = urlsplit(jdbc_url.removeprefix("jdbc:"))
        bare = make_url(urlunsplit(("postgresql", parts.netloc, parts.path, "", "")))
    except (ValueError, ArgumentError):
        raise _bad_form() from None
    if not jdbc_url.startswith("jdbc:postgresql://") or not parts.path.strip("/"):
        raise _bad_form()
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    user, password = query.pop("user", bare.username), query.pop("password", bare.password)
    return bare.set(username=user, password=password, query=_libpq(query)).render_as_string(hide_password=False)


def jdbc_url(url: str) -> str:
    """Convert ``postgresql://U@host:port/db`` to ``jdbc:postgresql://host:port/db?user=U``: the inverse.

    Raises:
        BytemeterError: the URL has a password, which an argument would show, or a parameter that JDBC lacks.
    """
    parts = make_url(url)
    if parts.password:
        raise BytemeterError("the URL of the database has a password, which no argument may show; leave it out")
    names = {libpq: name for name, libpq in _LIBPQ_NAMES.items()}
    if lacking := next((name for name in parts.query if name not in names), None):
        raise BytemeterError(f"the URL of the database has the parameter {lacking}, which JDBC lacks; leave it out")
    user = {"user": parts.username} if parts.username else {}
    query = urlencode({**user, **{names[name]: value for name, value in parts.query.items()}})
    port = f":{parts.port}" if parts.port else ""
    host = f"[{parts.host}]" if ":" in str(parts.host) else parts.host
    return f"jdbc:postgresql://{host}{port}/{parts.database}" + (f"?{query}" if query else "")


def _bad_form() -> BytemeterError:
    return BytemeterError(
        "the JDBC URL does not have the form jdbc:postgresql://HOST:PORT/DB?user=USER&password=PASSWORD; correct it"
    )


def _libpq(query: dict[str, str]) -> dict[str, str]:
    """The parameters of a JDBC URL as libpq has them."""
    # Any other value than false turns TLS on, and pgjdbc then verifies the server.
    if query.pop("ssl", "false") != "false":
        query.setdefault("sslmode", "verify-full")
    unknown = next((name for name in query if name not in _LIBPQ_NAMES), None)
    if unknown is not None:
        raise BytemeterError(
            f"the JDBC URL has the parameter {unknown}; expected user, password, ssl, {', '.join(_LIBPQ_NAMES)}; "
            "leave it out"
        )
    return {_LIBPQ_NAMES[name]: value for name, value in query.items()}


def jdbc_options(connection: Connection) -> dict[str, str]:
    """Spark's JDBC options by which executors connect as this connection has; the caller adds the table.

    They have its login, wherever libpq has found it (URL, ``PGPASSFILE``, …), and its TLS: where it uses TLS, executors
    do not connect without.

    Raises:
        BytemeterError: the connection has a parameter that JDBC cannot keep.
    """
    info: Any = connection.connection.driver_connection.info  # type: ignore[union-attr]
    host = f"[{info.host}]" if ":" in info.host else info.host
    return {
        "url": f"jdbc:postgresql://{host}:{info.port}/{quote(info.dbname)}",
        "driver": "org.postgresql.Driver",
        "user": info.user,
        "password": info.password or "",
        **_security(info.dsn_parameters, uses_tls=info.ssl_in_use),
        # Details of errors quote rows.
        "logServerErrorDetail": "false",
        "reWriteBatchedInserts": "true",
        "ApplicationName": "bytemeter-executor",
        "batchsize": "10000",
    }


def _security(parameters: Mapping[str, str], *, uses_tls: bool) -> dict[str, str]:
    """What of libpq's parameters concerns TLS and the session, in pgjdbc's names."""
    lacking = next((name for name, value in _LACKING.items() if parameters.get(name, value) != value), None)
    if lacking:
        raise BytemeterError(
            f"the connection to PostgreSQL has {lacking}={parameters[lacking]}, which Spark's executors cannot keep: "
            "they connect by JDBC, which lacks it; leave it out"
        )
    _require_readable_key(parameters.get("sslkey"))
    kept = {
        name: parameters[libpq]
        for name, libpq in _LIBPQ_NAMES.items()
        if parameters.get(libpq, "") not in ("", _DEFAULTS.get(libpq))
    }
    mode, root = parameters.get("sslmode", "prefer"), parameters.get("sslrootcert")
    if uses_tls and mode in ("allow", "prefer"):
        mode = "require"
    if mode == "require" and root:
        # libpq then verifies the certificate, pgjdbc would not.
        mode = "verify-ca"
    if root == "system":
        del kept["sslrootcert"]
        kept["sslfactory"] = "org.postgresql.ssl.DefaultJavaSSLFactory"
    return {**kept, "sslmode": mode}


def _require_readable_key(path: str | None) -> None:
    if path and Path(path).exists() and Path(path).read_bytes().startswith(b"-----BEGIN"):
        raise BytemeterError(
            f"sslkey {path} has the form PEM, which JDBC, by which executors connect, cannot read; name a key in the "
            "form DER: openssl pkcs8 -topk8 -nocrypt -outform DER -in KEY -out KEY.pk8"
        )
