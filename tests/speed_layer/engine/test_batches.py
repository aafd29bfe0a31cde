"""Each micro-batch that Spark reads is counted once, from where the one before it ended."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sqlalchemy import Engine

from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.kafka import Kafka
from bytemeter.offset_log import OffsetLog, Offsets
from bytemeter.plans.outbox import Outbox
from bytemeter.settings import Settings
from speed_layer.engine.batches import LiveBatches, blocks_of_feeds
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import FeedOffsets
from speed_layer.engine.live_store import live_store
from speed_layer.engine.slices import Bounds, Slices
from speed_layer.plans.query import DataPlanQuery
from speed_layer.totals.query import TotalsQuery
from tests.messages import agreement_document, data_record, device

Rows = Callable[..., list[tuple[Any, ...]]]

LEDGER = "select partition, next_offset, counted from ledger order by partition"
BYTES = "select sum(value) from bytes where type like 'app%'"
BOUNDS = {"task_bytes": 2**20, "payload_bytes": 1_000}


def received(session: SparkSession, messages: list[tuple[int, int, bytes]]) -> DataFrame:
    """Messages, given with their partitions and offsets, as the Kafka source gives them."""
    rows = session.createDataFrame(messages, "partition int, offset long, value binary")
    return rows.withColumn("timestamp", F.current_timestamp())


def never(*_: FeedOffsets) -> DataFrame:
    raise AssertionError("these micro-batches are small enough to be read as they are")


class Devices:
    """A live query of devices, and the micro-batches that Spark gives it."""

    def __init__(self, session: SparkSession, batches: LiveBatches) -> None:
        self.session, self.batches = session, batches

    def read(self, batch_id: int, end: Offsets, messages: list[tuple[int, int, bytes]]) -> None:
        """Do what Spark does: write the offset log, then call the batch function."""
        log = self.batches.offset_log.checkpoint / "offsets"
        log.mkdir(exist_ok=True)
        (topic,) = self.batches.store.topics.values()
        ends = {str(partition): offset for partition, offset in end.items()}
        (log / str(batch_id)).write_text("\n".join(["v1", "{}", json.dumps({topic.name: ends})]))
        self.batches(self._blocks(messages), batch_id)

    def _blocks(self, messages: list[tuple[int, int, bytes]]) -> DataFrame:
        rows = received(self.session, messages)
        return blocks_of_feeds(self.batches.query, {"devices": rows}, **BOUNDS)


@pytest.fixture
def commits() -> Iterator[CommitQueue]:
    commits = CommitQueue()
    yield commits
    commits.close()


@pytest.fixture
def devices(
    spark: SparkSession, place: Settings, engine: Engine, tmp_path: Path, commits: CommitQueue
) -> Iterator[Devices]:
    kafka, query = Kafka(place), TotalsQuery(DEVICES)
    topic = kafka.describe(kafka.topic_name(DEVICES.topic))
    assert topic is not None
    with live_store(engine, query, {"devices": topic}, IdlePartitions(0)) as store:
        slices = Slices(never, Bounds(BOUNDS["task_bytes"], 2, 2 * BOUNDS["task_bytes"]))
        yield Devices(spark, LiveBatches(query, store, commits, OffsetLog(tmp_path), {"devices": {0: 0}}, slices))
        commits.close()


def test_the_blocks_of_each_feed_carry_its_name(spark: SparkSession, place: Settings, engine: Engine) -> None:
    query = DataPlanQuery(Outbox(Kafka(place), engine), dt.timedelta(0), None)
    messages = {
        AGREEMENTS.name: received(spark, [(0, 0, agreement_document())]),
        DATA_RECORDS.name: received(spark, [(0, 0, data_record()), (0, 1, b"not JSON")]),
    }
    blocks = {(row.feed, row.part) for row in blocks_of_feeds(query, messages, **BOUNDS).collect() if row.part}
    assert blocks == {
        ("agreements", "received"), ("agreements", "agreements"),
        ("data-records", "received"), ("data-records", "records"), ("data-records", "invalid"),
    }  # fmt: skip


def test_each_micro_batch_starts_where_the_previous_one_ended(
    devices: Devices, commits: CommitQueue, rows: Rows
) -> None:
    devices.read(0, {0: 2}, [(0, 0, device(bytes=1)), (0, 1, device(bytes=2))])
    devices.read(1, {0: 3}, [(0, 2, device(bytes=4))])
    assert devices.batches.next_offsets == {"devices": {0: 3}}
    commits.close()
    assert rows(LEDGER) == [(0, 3, 3)]
    assert rows(BYTES) == [(7,)]


def test_a_new_partition_is_counted_from_its_beginning(devices: Devices, commits: CommitQueue, rows: Rows) -> None:
    devices.read(0, {0: 1, 1: 2}, [(0, 0, device()), (1, 0, device()), (1, 1, device())])
    devices.read(1, {0: 1, 1: 3}, [(1, 2, device())])
    commits.close()
    assert rows(LEDGER) == [(0, 1, 1), (1, 3, 3)]


def test_a_micro_batch_without_messages_moves_nothing(devices: Devices, commits: CommitQueue, rows: Rows) -> None:
    devices.read(0, {0: 0}, [])
    commits.close()
    assert rows(LEDGER) == [(0, 0, 0)]
    assert devices.batches.next_offsets == {"devices": {0: 0}}


def test_an_error_of_a_transaction_ends_the_next_micro_batch_and_nothing_more_is_counted(
    devices: Devices, commits: CommitQueue, rows: Rows
) -> None:
    rows("insert into ledger (feed, partition, topic_id, next_offset) values ('devices', 0, '', 9) returning 1")
    devices.read(0, {0: 1}, [(0, 0, device())])
    with pytest.raises(BytemeterError, match=r"stands at \{0: 9\}, this query read from \{0: 0\}"):
        devices.read(1, {0: 2}, [(0, 1, device())])
    assert devices.batches.next_offsets == {"devices": {0: 1}}
    commits.close()
    assert rows(LEDGER) == [(0, 9, 0)]
    assert rows(BYTES) == [(None,)]
