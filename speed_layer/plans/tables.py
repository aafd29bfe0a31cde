"""The temporary tables through which the steps of a counting transaction hand rows to each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from bytemeter.sql import Statements
from speed_layer.postgres.copying import copy

SQL = Statements(__package__, "tables.sql")
_RECORD_COLUMNS = ["partition", "record_offset", "msisdn", "event_us", "internal_id", "bytes"]


def create_temporary_tables(connection: Connection) -> None:
    """Create the temporary tables of the session; see ``tables.sql``."""
    connection.exec_driver_sql(SQL.raw("temporary_tables"))


def copy_single_records(
    connection: Connection, records: pa.Table, usage_ids: npt.NDArray[np.int64] | None = None
) -> None:
    """Copy records into the temporary table ``single_records``.

    Args:
        records: see ``speed_layer.executor.plans.record_parts``.
        usage_ids: of the records' billing periods, where they are known.
    """
    rows = records.select(_RECORD_COLUMNS)
    copy(connection, "single_records", rows if usage_ids is None else rows.append_column("usage_id", [usage_ids]))
