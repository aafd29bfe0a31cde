"""Parts that executors make of messages arrive at the driver unchanged."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from speed_layer.executor.blocks import NO_MESSAGES, Parts, messages_to_blocks, parts_from_blocks


def by_length(messages: pa.Table) -> Parts:
    size = pc.binary_length(messages.column("value"))
    with_size = messages.append_column("size", size)
    return {
        "long": with_size.filter(pc.greater(size, 2)).select(["partition", "size"]),
        "short": with_size.filter(pc.less_equal(size, 2)).select(["value", "offset"]),
    }


def parts_of(messages: DataFrame) -> Parts:
    blocks = messages_to_blocks(messages, by_length, task_bytes=2**20).where("part is not null").toArrow()
    pairs = zip(blocks.column("part").to_pylist(), blocks.column("block"), strict=True)
    return parts_from_blocks(pairs, by_length(NO_MESSAGES))


def received(session: SparkSession, messages: list[tuple[int, int, bytes]]) -> DataFrame:
    """Messages, given with their partitions and offsets, as the Kafka source gives them."""
    rows = session.createDataFrame(messages, "partition int, offset long, value binary")
    return rows.withColumn("timestamp", F.current_timestamp())


def test_blocks_of_all_tasks_are_concatenated(spark: SparkSession) -> None:
    given = [(1, 7, b"abc"), (1, 8, b"\xff"), (2, 7, b"\x00\x01"), (2, 9, b"defg"), (2, 10, b"hijk")]
    messages = received(spark, given).repartition(3)
    parts = parts_of(messages)
    assert sorted(parts["long"].to_pylist(), key=repr) == [
        {"partition": 1, "size": 3}, {"partition": 2, "size": 4}, {"partition": 2, "size": 4},
    ]  # fmt: skip
    assert sorted(parts["short"].to_pylist(), key=repr) == [
        {"value": b"\x00\x01", "offset": 7},
        {"value": b"\xff", "offset": 8},
    ]


def test_a_part_without_blocks_is_empty(spark: SparkSession) -> None:
    messages = received(spark, [(0, 1, b"abc")])
    parts = parts_of(messages)
    assert (parts["long"].num_rows, parts["short"].num_rows) == (1, 0)
    assert parts["short"].schema == by_length(NO_MESSAGES)["short"].schema
