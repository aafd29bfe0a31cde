"""The Kafka source of the live and the history queries."""

from __future__ import annotations

import json

from pyspark.sql import DataFrame, SparkSession

from bytemeter.kafka import Kafka
from bytemeter.offset_log import Offsets, offsets_option

# A poll costs 0.4 ms, because Spark asks the broker for the first and the last offset with each; and its records are in
# memory together, however small they were in compressed batches.
_POLLED = (10_000, 1_000, 100, 10)
_POLLED_BYTES = 16 * 2**20

# Spark moves a consumer between ranges of offsets. Before the consumer can seek, it waits for the answer to its last
# fetch: half a second by default at the end of a partition. Small polls cost about as much in total.
_FETCHING = {
    # Records of aborted transactions are never delivered, records of open ones once they are committed.
    "kafka.isolation.level": "read_committed",
    "kafka.fetch.max.wait.ms": "20",
    # As the broker sends them: lz4 makes up to 255 times as much of it, which is in memory at once.
    "kafka.max.partition.fetch.bytes": str(2**20),
    "kafka.max.poll.records": str(_POLLED[0]),
    # How long a query waits for a broker that has gone: until then it cannot be stopped. By default a minute for each
    # of three attempts, and two minutes for a record.
    "kafka.request.timeout.ms": "10000",
    "kafka.default.api.timeout.ms": "12000",
    "fetchOffset.numRetries": "1",
    "kafkaConsumer.pollTimeoutMs": "30000",
}
_MESSAGES = (
    "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp, timestampType int"
)


def stream(session: SparkSession, kafka: Kafka, topic: str, start: Offsets, *, most_records: int) -> DataFrame:
    """An unbounded DataFrame of a topic's messages, in the columns of Spark's Kafka source.

    A partition that is created after the start is read from its beginning. The query fails if Kafka has deleted offsets
    that it was to read.

    Args:
        start: the first offset of each partition.
        most_records: per micro-batch.
    """
    return (
        session.readStream.format("kafka")
        .options(**_options(session, kafka, topic, start))
        .option("subscribe", topic)
        .option("maxOffsetsPerTrigger", most_records)
        .load()
    )


def between(
    session: SparkSession, kafka: Kafka, topic: str, start: Offsets, end: Offsets, *, message_bytes: int
) -> DataFrame:
    """The messages of a topic at the offsets [start, end), in the same columns.

    Reading them fails if Kafka has deleted any of these offsets.

    Args:
        start: of the partitions of ``end``; one that is missing is read from its beginning.
        message_bytes: about how many bytes a message has.
    """
    first = {partition: start.get(partition, 0) for partition in end}
    if first == end:
        return session.createDataFrame([], _MESSAGES)
    polled = next((polled for polled in _POLLED if polled * message_bytes <= _POLLED_BYTES), _POLLED[-1])
    return (
        session.read.format("kafka")
        .options(**_options(session, kafka, topic, first))
        # By default each read has a group of its own, and Spark keeps its consumers, with what they have fetched. All
        # consumers of a group must have the same options.
        .option("kafka.group.id", f"bytemeter-{topic}-{polled}")
        .option("kafka.max.poll.records", polled)
        .option("assign", json.dumps({topic: sorted(end)}))
        .option("endingOffsets", offsets_option(topic, end))
        .load()
    )


def _options(session: SparkSession, kafka: Kafka, topic: str, start: Offsets) -> dict[str, str]:
    # Partitions are divided into ranges of offsets, so that all cores have work even if the partitions are few.
    ranges = max(len(start), 2 * session.sparkContext.defaultParallelism)
    return {
        **_FETCHING,
        **kafka.spark(),
        "startingOffsets": offsets_option(topic, start),
        "minPartitions": str(ranges),
        "failOnDataLoss": "true",
    }
