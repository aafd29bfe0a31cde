"""Every schema is written once: the samples, the feed and the tables agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import SparkSession

from bytemeter.feeds import DEVICES, FEEDS
from bytemeter.migrations import staging_schema
from simulator.devices import DeviceSimulation
from simulator.traffic import Traffic
from speed_layer.usage.staging import add_up, facts

SAMPLE = (
    '{"bytes":9082,"timestamp":1600545287,"app":"SKYPE","id":"00000000-0000-0000-0000-000000000001",'
    '"antenna_id":"00000000-0000-0000-0000-000000000000"}'
)
CONTRACT = {
    "user_metadata": ["id", "name", "email", "quota"],
    "bytes": ["type", "id", "timestamp", "value"],
    "bytes_hourly": ["type", "id", "timestamp", "value"],
    "user_quota_limit": ["email", "timestamp", "usage", "quota"],
    "usage_hourly": ["type", "id", "timestamp", "value", "source", "as_of"],
    "invalid_events": ["feed", "partition", "record_offset", "reason", "payload", "received_at", "replayed_at"],
    "ledger": [
        "feed", "partition", "topic_id", "next_offset", "received", "counted", "duplicate", "invalid", "unmatched",
        "voids", "latest_event_time",
    ],
}  # fmt: skip

Rows = Callable[..., list[tuple[Any, ...]]]


def columns(rows: Rows, table: str, schema: str = "public") -> list[str]:
    found = rows(
        "select column_name from information_schema.columns where table_name = :table and table_schema = :schema "
        "order by ordinal_position",
        table=table,
        schema=schema,
    )
    return [name for (name,) in found]


def test_the_sample_and_the_simulator_have_the_fields_of_the_feed() -> None:
    required = [field.name for field in DEVICES.required]
    assert list(json.loads(SAMPLE)) == required
    ((_, messages),) = DeviceSimulation(Traffic(start=0, records=1)).pieces()
    assert list(json.loads(messages[0]["value"] or b"")) == DEVICES.schema.names


def test_the_tables_that_users_rely_on_have_their_columns(rows: Rows) -> None:
    missing = {table: set(names) - set(columns(rows, table)) for table, names in CONTRACT.items()}
    assert {table: names for table, names in missing.items() if names} == {}


def test_each_feed_has_staging_for_what_is_staged(rows: Rows, spark: SparkSession) -> None:
    for feed in (feed for feed in FEEDS.values() if feed.totals):
        parsed = spark.createDataFrame(
            [],
            f"partition int, offset long, value binary, {', '.join(f'{f.name} {f.dataType.simpleString()}' for f in feed.schema)}, "
            "epoch_s long, reason string",
        )
        staged = parsed.transform(facts(feed)).transform(add_up).columns
        assert set(columns(rows, "staged", staging_schema(feed.name))) == {"attempt", *staged}
