"""The Kafka source of the live and the history queries."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from bytemeter.kafka import Kafka
from bytemeter.offset_log import Offsets, starting_offsets

# Spark moves a consumer between ranges of offsets. Before the consumer can seek, it waits for the answer to its last
# fetch: half a second by default at the end of a partition. Small polls cost about as much in total.
_FETCHING = {
    # Records of aborted transactions are never delivered, records of open ones once they are committed.
    "kafka.isolation.level": "read_committed",
    "kafka.fetch.max.wait.ms": "20",
    "kafka.max.partition.fetch.bytes": str(8 * 2**20),
    "kafka.max.poll.records": "10000",
    # How long a query waits for a broker that has gone: until then it cannot be stopped. By default a minute for each
    # of three attempts, and two minutes for a record.
    "kafka.request.timeout.ms": "10000",
    "kafka.default.api.timeout.ms": "12000",
    "fetchOffset.numRetries": "1",
    "kafkaConsumer.pollTimeoutMs": "30000",
}


def stream(session: SparkSession, kafka: Kafka, topic: str, start: Offsets, *, most_records: int) -> DataFrame:
    """An unbounded DataFrame of a topic's messages, in the columns of Spark's Kafka source.

    A partition that is created after the start is read from its beginning. The query fails if Kafka has deleted offsets
    that it was to read.

    Args:
        start: the first offset of each partition.
        most_records: per micro-batch.
    """
    # Partitions are divided into ranges of offsets, so that all cores have work even if the partitions are few.
    ranges = max(len(start), 2 * session.sparkContext.defaultParallelism)
    return (
        session.readStream.format("kafka")
        .options(**_FETCHING)
        .options(**kafka.spark())
        .option("subscribe", topic)
        .option("startingOffsets", starting_offsets(topic, start))
        .option("maxOffsetsPerTrigger", most_records)
        .option("minPartitions", ranges)
        .option("failOnDataLoss", "true")
        .load()
    )
