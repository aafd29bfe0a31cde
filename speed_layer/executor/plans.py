"""Messages of agreements and data records into the parts that the driver counts; runs on executors."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter import instants
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.feeds.data_records import internal_ids
from bytemeter.parsing import parse, received_us, valid
from speed_layer.executor.accounts import account_parts, identity
from speed_layer.executor.blocks import Parts


def record_parts(messages: pa.Table) -> Parts:
    """The parts of messages of ``data-records``.

    Returns:
        received, invalid: see ``speed_layer.executor.accounts.account_parts``; records: a row for each valid record, of
        the columns of ``speed_layer.executor.accounts.identity``, msisdn: string, internal_id: string and bytes: long.
    """
    parsed = parse(DATA_RECORDS, messages, now_us=time.time_ns() // 1_000)
    records = valid(parsed)
    columns = {
        **identity(DATA_RECORDS, "id", records),
        "msisdn": records.column("msisdn"),
        "internal_id": internal_ids(records),
        "bytes": records.column("recordedBytes"),
    }
    return {**account_parts(DATA_RECORDS, parsed), "records": pa.table(columns)}


def agreement_parts(messages: pa.Table) -> Parts:
    """The parts of messages of ``agreements``. The clock is not asked: an agreement may be signed in the future.

    Returns:
        received, invalid: see ``speed_layer.executor.accounts.account_parts``; agreements: a row for each valid
        agreement, of partition: int, record_offset: long, received_us: long (when Kafka received the message), id,
        msisdn, zone: string, signed_us, start_us: long (microseconds since 1970), end_us, effective_us: the same or
        null, limit: long (bytes), thresholds: list of long (percents) or null, and anchor_day: long or null.
    """
    parsed = parse(AGREEMENTS, messages)
    is_valid = pc.is_null(parsed.column("reason"))
    agreements, received = parsed.filter(is_valid), received_us(messages).filter(is_valid)
    columns = {
        "partition": agreements.column("partition"),
        "record_offset": agreements.column("offset"),
        "received_us": received,
        "id": agreements.column("id"),
        "msisdn": agreements.column("msisdn"),
        "signed_us": agreements.column("event_us"),
        "start_us": instants.read(agreements.column("serviceStartAt")),
        "end_us": instants.read(agreements.column("serviceEndAt")),
        "effective_us": instants.read(agreements.column("effectiveFrom")),
        "zone": agreements.column("billingPeriodTimeZone"),
        "limit": agreements.column("maxBytesInBillingPeriod"),
        "thresholds": agreements.column("thresholds"),
        "anchor_day": agreements.column("anchorDay"),
    }
    return {**account_parts(AGREEMENTS, parsed), "agreements": pa.table(columns)}
