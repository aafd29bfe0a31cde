"""What a start refuses, and where a restart resumes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from pyspark.sql import SparkSession
from sqlalchemy import Engine, text

from batch_layer.hourly.store import Recomputed
from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.history.table import History
from bytemeter.kafka import Kafka
from bytemeter.migrations import migrate
from bytemeter.settings import Settings
from simulator.traffic import Sent
from speed_layer.stream import Streams
from tests.buckets import FOLDER_AND_BUCKET
from tests.histories import delta_table

Rows = Callable[..., list[tuple[Any, ...]]]


def test_a_recreated_topic_is_refused(
    place: Settings, simulate: Callable[..., Sent], stream: Callable[..., None]
) -> None:
    simulate(100)
    stream(history=False)
    topic = place.topic_prefix + "devices"
    admin = KafkaAdminClient(bootstrap_servers=place.kafka)
    admin.delete_topics([topic])
    admin.close()
    kafka = Kafka(place)
    while not kafka.create(topic):
        pass
    with pytest.raises(BytemeterError, match=rf"topic {topic} was re-created: .*; start over with an empty") as caught:
        stream(history=False)
    assert "\n" not in str(caught.value)


def test_a_topic_that_is_shorter_than_the_ledger_is_refused(
    place: Settings, simulate: Callable[..., Sent], stream: Callable[..., None], engine: Engine
) -> None:
    simulate(100)
    stream(history=False)
    with engine.begin() as connection:
        connection.execute(text("update ledger set next_offset = 1000000 where partition = 0"))
    with pytest.raises(
        BytemeterError, match="is shorter than before: partition 0 ends at .*, but the ledger expects offset 1000000"
    ):
        stream(history=False)


def test_a_missing_topic_is_reported(place: Settings, stream: Callable[..., None]) -> None:
    with pytest.raises(BytemeterError, match=r"has no topic elsewhere\.devices; run `bytemeter migrate`"):
        stream(settings=place.model_copy(update={"topic_prefix": "elsewhere."}))


@pytest.mark.parametrize("kind", ["live", "history"])
def test_a_start_that_fails_leaves_no_query_behind(spark: SparkSession, place: Settings, kind: str) -> None:
    elsewhere = place.model_copy(update={"topic_prefix": f"{kind}."})
    kafka = Kafka(elsewhere)
    for feed in (DEVICES, AGREEMENTS):
        kafka.create(kafka.topic_name(feed.topic))
    feeds = [DEVICES, AGREEMENTS, DATA_RECORDS]
    with pytest.raises(BytemeterError, match=rf"has no topic {kind}\.data-records"):
        Streams(spark, elsewhere, feeds, live=kind == "live", history=kind == "history").run()
    assert not spark.streams.active


def test_missing_tables_are_reported(place: Settings, stream: Callable[..., None], engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("drop table ledger cascade"))
    with pytest.raises(BytemeterError, match="a table is missing: .*ledger.*; run `bytemeter migrate`"):
        stream()


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    assert migrate(engine) == []


def test_a_database_of_a_later_version_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into migrations (name) values ('9999_future')"))
    with pytest.raises(BytemeterError, match="has the migration 9999_future, this version knows up to"):
        migrate(engine)


@FOLDER_AND_BUCKET
def test_the_history_resumes_where_its_last_commit_ended(
    place: Settings,
    spark: SparkSession,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    rows: Rows,
) -> None:
    simulate(500)
    stream(settings=place.model_copy(update={"max_records_per_batch": 200}))
    stream()
    simulate(300, seed=8)
    stream()
    table = delta_table(f"{place.history}/devices")
    offsets = dict(rows("select partition, next_offset from ledger"))
    assert History(spark, place.require_history(), DEVICES).end_offsets() == offsets
    positions = {
        (row["partition"], row["offset"]) for row in table.to_pyarrow_table(columns=["partition", "offset"]).to_pylist()
    }
    assert len(positions) == table.to_pyarrow_table().num_rows == 800
    assert table.metadata().partition_columns == ["event_date", "event_hour"]


def test_the_hourly_job_reports_a_history_that_is_behind(
    place: Settings,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
    rows: Rows,
) -> None:
    simulate(100)
    stream()
    simulate(100, seed=8)
    stream(history=False)
    with pytest.raises(
        BytemeterError,
        match="the history of devices is behind the ledger, .*; run `bytemeter stream devices`",
    ):
        recompute(wait_s=0)
    assert rows("select * from bytes_hourly") == []
    shutil.rmtree(Path(place.require_history()) / "devices")
    stream()
    recompute(wait_s=0)
    assert rows("select sum(value) from bytes_hourly where type like 'user%'") == rows(
        "select sum(value) from bytes where type like 'user%'"
    )
