"""The environment by which programs of PostgreSQL, such as psql, connect as a URL says, with an empty argv."""

from __future__ import annotations

from sqlalchemy.engine import URL

# Other variables have the parameter's name: sslmode is PGSSLMODE, channel_binding is PGCHANNELBINDING.
_VARIABLES = {
    "username": "PGUSER",
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def environment(url: URL) -> dict[str, str]:
    """Variables of libpq with what the URL says, TLS and password included.

    https://www.postgresql.org/docs/current/libpq-envars.html
    """
    parameters = {
        **url.query,
        "host": url.host,
        "port": url.port or 5432,
        "username": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    return {
        _VARIABLES.get(name) or f"PG{name.replace('_', '').upper()}": str(value)
        for name, value in parameters.items()
        if value
    }
