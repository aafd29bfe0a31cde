"""What notebooks read with: figures by SQL from PostgreSQL, records from the Delta tables of the history.

Both come from where ``BYTEMETER_DATABASE_URL`` and ``BYTEMETER_HISTORY`` say. Nothing can be changed from here: the
sessions in PostgreSQL have the rights of ``bytemeter_reader``, and Delta tables are only opened.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import text

from bytemeter.errors import BytemeterError, first_line
from bytemeter.history.storage import delta_options
from bytemeter.settings import PREFIX, load_settings
from serving.reader import reading

if TYPE_CHECKING:
    import pandas as pd
    from deltalake import DeltaTable

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
    with reading(settings.require_database_url()) as connection:
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
        return DeltaTable(f"{root}/{name}", version, storage_options=delta_options(root, os.environ))
    except DeltaError as error:
        at = "" if version is None else f" at version {version}"
        raise BytemeterError(
            f"the history in {root} has no table {name}{at}: {first_line(error)}; `bytemeter stream` writes the history"
        ) from None
