"""The Kafka source of both streaming queries."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from bytemeter.kafka import Kafka
from bytemeter.offset_log import Offsets, starting_offsets

# A consumer that goes on elsewhere, as pieces of partitions do, first waits for the answer to what it had asked for; at
# the end of a partition that is half a second by default. Small polls cost as much again.
_FETCHING = {
    "kafka.fetch.max.wait.ms": "20",
    "kafka.max.partition.fetch.bytes": str(8 * 2**20),
    "kafka.max.poll.records": "10000",
}


def stream(session: SparkSession, kafka: Kafka, topic: str, start: Offsets, *, most_records: int) -> DataFrame:
    """An unbounded DataFrame of the topic's messages from the given offsets on, ``most_records`` a micro-batch.

    A partition made after the start is read from its beginning. Offsets that Kafka no longer has end the query.
    """
    # Pieces of partitions, so that all cores have work whatever the number of partitions.
    pieces = max(len(start), 2 * session.sparkContext.defaultParallelism)
    return (
        session.readStream.format("kafka")
        .options(**_FETCHING)
        .options(**kafka.spark())
        .option("subscribe", topic)
        .option("startingOffsets", starting_offsets(topic, start))
        .option("maxOffsetsPerTrigger", most_records)
        .option("minPartitions", pieces)
        .option("failOnDataLoss", "true")
        .load()
    )
