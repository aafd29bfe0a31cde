"""Which psql the command ``psql`` runs, and with which environment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sqlalchemy.engine import make_url

from bytemeter import libpq
from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from embedded.programs import client

_NEEDS_TLS = ("require", "verify-ca", "verify-full")


def psql_environment(settings: Settings) -> dict[str, str]:
    """The variables by which psql finds the database of the settings, and its login."""
    return libpq.environment(make_url(settings.require_database_url()))


def psql_program(settings: Settings, *, embedded: bool) -> Path:
    """The psql to run: that of the embedded server, or for a database of the user's own that of the PATH, if any.

    The one of the embedded server is built without TLS.

    Raises:
        BytemeterError: the database is to be reached by TLS, but the PATH has no psql.
    """
    if embedded:
        return client("psql")
    found = shutil.which("psql")
    mode = {**os.environ, **psql_environment(settings)}.get("PGSSLMODE")
    if found is None and mode in _NEEDS_TLS:
        raise BytemeterError(
            f"found no psql on the PATH, and the one of Bytemeter has no TLS, which sslmode={mode} asks for; "
            "install one, e.g. apt install postgresql-client"
        )
    return Path(found) if found else client("psql")
