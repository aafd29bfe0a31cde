"""What executors make of agreements and data records: PostgreSQL then looks at each by itself."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter import instants
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.feeds.data_records import internal_ids
from bytemeter.hashing import stand_several_times
from bytemeter.parsing import parse, valid
from speed_layer.blocks import Parts
from speed_layer.received import account_parts, identity


def record_parts(messages: pa.Table) -> Parts:
    """What is to be counted of messages of ``data-records``.

    Returns:
        received, invalid: see ``speed_layer.received.account_parts``; records: a row for each valid one, of the columns
        of ``speed_layer.received.identity``, msisdn: string, internal_id: string and value: long (bytes).
    """
    parsed = parse(DATA_RECORDS, messages, now_us=time.time_ns() // 1_000)
    records = valid(parsed)
    columns = {
        **identity(DATA_RECORDS, "id", records),
        "msisdn": records.column("msisdn"),
        "internal_id": internal_ids(records),
        "value": records.column("recordedBytes"),
    }
    return {**account_parts(parsed), "records": pa.table(columns)}


def agreement_parts(messages: pa.Table) -> Parts:
    """What messages of ``agreements`` tell. One that is signed ahead of time is no error.

    Returns:
        received, invalid: see ``speed_layer.received.account_parts``; agreements: a row for each valid one, of
        partition: int, record_offset: long, id, msisdn, zone: string, signed_us, start_us, limit: long,
        thresholds: list of long or null, and anchor_day: long or null.
    """
    parsed = parse(AGREEMENTS, messages)
    agreements = valid(parsed)
    columns = {
        "partition": agreements.column("partition"),
        "record_offset": agreements.column("offset"),
        "id": agreements.column("id"),
        "msisdn": agreements.column("msisdn"),
        "signed_us": agreements.column("event_us"),
        "start_us": instants.read(agreements.column("serviceStartAt")),
        "zone": agreements.column("billingPeriodTimeZone"),
        "limit": agreements.column("maxBytesInBillingPeriod"),
        "thresholds": agreements.column("thresholds"),
        "anchor_day": agreements.column("anchorDay"),
    }
    return {**account_parts(parsed), "agreements": pa.table(columns)}


def number(msisdn: str) -> int:
    """A number as an integer, by which it is sorted and looked up fast; a leading zero makes it another one."""
    return int(f"1{msisdn}")


def by_number(records: pa.Table) -> pa.Table:
    """All records of each number together.

    Args:
        records: see ``record_parts``.

    Returns:
        Rows of msisdn: string, number: long (see ``number``), first_us, last_us: long (event times), bytes: long (their
        sum) and latest: string, the internal_id of the last record in the order of (recordedAt, internalId).
    """
    all_numbers = pc.binary_join_element_wise("1", records.column("msisdn"), "").cast(pa.int64()).to_numpy()
    order = np.argsort(all_numbers)
    numbers = all_numbers[order]
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    times = records.column("event_us").to_numpy()[order]
    last_us = np.maximum.reduceat(times, first)
    at_last = np.flatnonzero(times == np.repeat(last_us, np.diff(first, append=len(numbers))))
    return pa.table(
        {
            "msisdn": records.column("msisdn").take(order[first]),
            "number": numbers[first],
            "first_us": np.minimum.reduceat(times, first),
            "last_us": last_us,
            "bytes": np.add.reduceat(records.column("value").to_numpy()[order], first),
            "latest": _latest(numbers[at_last], records.column("internal_id").take(order[at_last])),
        }
    )


def _latest(numbers: npt.NDArray[np.int64], internal_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Of the records of each number, which stand together and have the same time, the last internal_id."""
    several = np.flatnonzero(stand_several_times(numbers))
    order = np.arange(len(numbers))
    if len(several):
        some = pa.table({"number": numbers[several], "internal_id": internal_ids.take(several)})
        sorted_ = pc.sort_indices(some, [("number", "ascending"), ("internal_id", "ascending")])
        order[several] = several[sorted_.to_numpy()]
    return internal_ids.take(order[np.flatnonzero(np.diff(numbers, append=-1))])


def as_records(records: pa.Table) -> pa.Table:
    """Records as rows of the temporary table ``records``: in the order of order_key come (recordedAt, internalId)."""
    kept = records.select(["partition", "record_offset", "event_us", "value", "msisdn"])
    return kept.append_column("order_key", _order_key(records))


def _order_key(records: pa.Table) -> pa.ChunkedArray:
    times = pc.utf8_lpad(records.column("event_us").cast(pa.string()), 16, padding="0")
    return pc.binary_join_element_wise(times, records.column("internal_id"), "")
