"""What notebooks read with: figures by SQL from PostgreSQL, records from the Delta tables of the history.

Both come from where ``BYTEMETER_DATABASE_URL`` and ``BYTEMETER_HISTORY`` say. Nothing can be changed from here: the
sessions in PostgreSQL have the rights of ``bytemeter_reader``, and Delta tables are only opened.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import BytemeterError, first_line
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import PREFIX, load_settings

if TYPE_CHECKING:
    import pandas as pd
    from deltalake import DeltaTable

_READER = "bytemeter_reader"
_STATEMENT_TIMEOUT = "60s"
_START = 'start notebooks by `make notebooks`, or run `eval "$(bytemeter env)"` before'


def ask(statement: str) -> pd.DataFrame:
    """The rows of a ``select``, as a pandas table; instants are in UTC.

    Whoever the login is, the session has the rights of ``bytemeter_reader`` only, and ends a statement after a minute.

    Raises:
        BytemeterError: no database is named, the login is no member of ``bytemeter_reader``, or the statement names
            something that is not there.
        TransientError: PostgreSQL cannot be reached, or the statement took more than a minute.
    """
    import pandas as pd

    settings = load_settings()
    if settings.database_url is None:
        raise BytemeterError(f"{PREFIX}DATABASE_URL is not set; {_START}")
    engine = database(settings.require_database_url())
    with one_line_errors(engine.url), engine.connect() as connection:
        _become_reader(connection, engine.url.username)
        return pd.read_sql_query(text(statement), connection)


def table(name: str, version: int | None = None) -> DeltaTable:
    """A Delta table of the history, in a folder or a bucket: ``.to_pyarrow_dataset()`` is what DuckDB can query.

    Args:
        name: of a feed, such as ``devices``, or of its invalid messages, such as ``devices.invalid``.
        version: an earlier commit; by default the latest.

    Raises:
        BytemeterError: no history is named, or it has no such table or version.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    root = load_settings().history
    if root is None:
        raise BytemeterError(f"{PREFIX}HISTORY is not set; {_START}")
    try:
        return DeltaTable(f"{root}/{name}", version, storage_options=_storage_options(root))
    except DeltaError as error:
        at = "" if version is None else f" at version {version}"
        raise BytemeterError(
            f"the history in {root} has no table {name}{at}: {first_line(error)}; `bytemeter stream` writes the history"
        ) from None


def _become_reader(connection: Connection, user: str | None) -> None:
    """Give up all rights but those of a reader, for the session."""
    try:
        connection.execute(text(f"set role {_READER}"))
    except DBAPIError as error:
        raise BytemeterError(
            f"the user {user} cannot read as {_READER}: {first_line(error.orig)}; "
            f"run `bytemeter migrate`, or grant {_READER} to the user"
        ) from None
    connection.execute(text("set transaction read only"))
    connection.execute(text(f"set statement_timeout = '{_STATEMENT_TIMEOUT}'"))


def _storage_options(root: str) -> dict[str, str]:
    """How to reach the bucket: an emulator is asked without credentials, as Google's own clients do."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if not (emulator and root.startswith("gs://")):
        return {}
    url = emulator if "://" in emulator else f"http://{emulator}"
    key = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return {"google_service_account_key": json.dumps(key), "allow_http": "true"}
