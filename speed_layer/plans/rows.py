"""What executors make of agreements and data records: PostgreSQL then looks at each by itself."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter import instants
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
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
        "internal_id": pc.coalesce(records.column("internalId"), records.column("id")),
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


def by_number(records: pa.Table) -> pa.Table:
    """All records of each number together.

    Args:
        records: at least one, see ``record_parts``.

    Returns:
        Rows of msisdn: string, first_us, last_us: long (event times), bytes: long (their sum) and latest_key: string
        (see ``as_records``) of the last record in the order of (recordedAt, internalId).
    """
    coded = records.column("msisdn").combine_chunks().dictionary_encode()
    keys = records.select(["event_us", "internal_id"]).append_column("number", coded.indices)
    order = pc.sort_indices(keys, [(name, "ascending") for name in ("number", "event_us", "internal_id")])
    ordered = records.take(order)
    numbers = coded.indices.take(order).to_numpy()
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    last = np.append(first[1:], len(numbers)) - 1
    return pa.table(
        {
            "msisdn": coded.dictionary,
            "first_us": ordered.column("event_us").take(first),
            "last_us": ordered.column("event_us").take(last),
            "bytes": np.add.reduceat(ordered.column("value").to_numpy(), first),
            "latest_key": _order_key(ordered.take(last)),
        }
    )


def as_records(records: pa.Table) -> pa.Table:
    """Records as rows of the temporary table ``records``: in the order of order_key come (recordedAt, internalId)."""
    kept = records.select(["partition", "record_offset", "event_us", "value", "msisdn"])
    return kept.append_column("order_key", _order_key(records))


def _order_key(records: pa.Table) -> pa.ChunkedArray:
    times = pc.utf8_lpad(records.column("event_us").cast(pa.string()), 16, padding="0")
    return pc.binary_join_element_wise(times, records.column("internal_id"), "")
