"""Billable events as the invoices of a month need them: each with its position."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.history.records import CountedRecords

_FIELDS = ["customer", "type", "amount", "event_id"]
_COLUMNS = (
    "customer string, type string, partition int, record_offset long, event_us long, amount decimal(21, 6), "
    "event_id string"
)


def billable_events(records: CountedRecords, since: dt.datetime, until: dt.datetime) -> DataFrame:
    """The events of [since, until) that count.

    Returns:
        Rows of customer: string, type: string, partition: int, record_offset: long, event_us: long (microseconds since
        1970), amount: decimal(21, 6), event_id: string or null.
    """
    first, end = (int(at.timestamp()) * 1_000_000 for at in (since, until))
    events = records.map_tables(_chosen, _FIELDS, _COLUMNS)
    return events.where((F.col("event_us") >= first) & (F.col("event_us") < end))


def _chosen(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for records in tables:
        columns = {name: records.column(name) for name in ("customer", "type", "partition")}
        columns |= {"record_offset": records.column("offset"), "event_us": records.column("event_us")}
        yield pa.table({**columns, "amount": records.column("amount"), "event_id": records.column("event_id")})
