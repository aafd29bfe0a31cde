"""Every schema is written once: the samples, the feed and the tables agree."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from bytemeter.feeds import FEEDS
from simulator.agreements import AgreementSimulation
from simulator.billable_events import BillableEventSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.traffic import Traffic

SAMPLES = {
    "devices": (
        '{"bytes":9082,"timestamp":1600545287,"app":"SKYPE","id":"00000000-0000-0000-0000-000000000001",'
        '"antenna_id":"00000000-0000-0000-0000-000000000000"}'
    ),
    "data-records": (
        '{"id":"8aae90a1-c2e7-33e5-9fab-f8f3e1900906","internalId":"1","msisdn":"48917846822",'
        '"recordedAt":"2020-01-02T00:00:00+01:00[Europe/Warsaw]","recordedBytes":825012938}'
    ),
    "agreements": (
        '{"id":"0b12c601-9287-3f5c-a78c-df508fe0f889","msisdn":"48917846822",'
        '"signedAt":"2019-12-20T00:00:00+01:00[Europe/Warsaw]",'
        '"serviceStartAt":"2020-01-01T00:00:00+01:00[Europe/Warsaw]","billingPeriodTimeZone":"Europe/Warsaw",'
        '"maxBytesInBillingPeriod":5368709120}'
    ),
    "billable-events": '{"timestamp":1488142855,"customer":"Charlie","amount":"199.99","type":"CALL"}',
}
CONTRACT = {
    "user_metadata": ["id", "name", "email", "quota"],
    "bytes": ["type", "id", "timestamp", "value"],
    "bytes_hourly": ["type", "id", "timestamp", "value"],
    "bytes_monthly": ["type", "id", "timestamp", "value"],
    "agreements": [
        "id", "msisdn", "signed_at", "service_start_at", "billing_period_time_zone", "max_bytes_in_billing_period",
        "thresholds", "anchor_day",
    ],
    "agreement_versions": [
        "id", "effective_from", "received_at", "msisdn", "signed_at", "service_start_at", "billing_period_time_zone",
        "max_bytes_in_billing_period", "thresholds", "anchor_day",
    ],
    "data_plan_usage": [
        "agreement_id", "period_start", "period_end", "year", "month", "total_recorded_bytes", "latest_recorded_at",
        "latest_internal_record_id", "status",
    ],
    "threshold_events": [
        "event_id", "agreement_id", "period_start", "type", "threshold_percent", "threshold_bytes",
        "total_recorded_bytes", "latest_recorded_at", "latest_internal_record_id", "ordinal", "payload", "published_at",
    ],
    "user_quota_limit": ["email", "timestamp", "usage", "quota"],
    "usage_hourly": ["type", "id", "timestamp", "value", "source", "as_of"],
    "invalid_events": [
        "feed", "partition", "record_offset", "reason", "payload", "length", "digest", "received_at", "replayed_at",
    ],
    "billable_monthly": ["month", "dimension", "id", "total"],
    "event_counts": ["feed", "dimension", "id", "timestamp", "value"],
    "events_hourly": ["feed", "dimension", "id", "timestamp", "value", "source", "as_of"],
    "ledger": [
        "feed", "partition", "topic_id", "next_offset", "received", "counted", "duplicate", "invalid", "unmatched",
        "voids", "latest_event_time",
    ],
}  # fmt: skip

Rows = Callable[..., list[tuple[Any, ...]]]


def columns(rows: Rows, table: str) -> list[str]:
    """The columns of a table or view of the schema public."""
    names = rows(
        "select column_name from information_schema.columns where table_name = :table and table_schema = 'public' "
        "order by ordinal_position",
        table=table,
    )
    return [name for (name,) in names]


def test_the_samples_and_the_simulator_have_the_fields_of_the_feeds() -> None:
    traffic = Traffic(start=0, records=1)
    service_start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for simulated in (
        DeviceSimulation(traffic), DataRecordSimulation(traffic), BillableEventSimulation(traffic),
        AgreementSimulation(100, 7, service_start, 0),
    ):  # fmt: skip
        feed = FEEDS[simulated.feed]
        required = {field.name for field in feed.fields if field.required}
        assert required <= set(json.loads(SAMPLES[feed.name])) <= set(feed.names)
        ((_, messages),) = simulated.pieces()
        fields = {name for message in messages for name in json.loads(message["value"] or b"")}
        # Only a change that was announced, or a correction of the past, says from when on it holds; nobody cancels.
        assert fields == set(feed.names) - {"effectiveFrom", "serviceEndAt"}
        assert all(message["key"] == json.loads(message["value"] or b"")[feed.key].encode() for message in messages)


def test_the_tables_that_users_rely_on_have_their_columns(rows: Rows) -> None:
    missing = {table: set(names) - set(columns(rows, table)) for table, names in CONTRACT.items()}
    assert {table: names for table, names in missing.items() if names} == {}
