"""How long messages wait on Kafka: it reads the first message of each partition that is not counted yet."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bytemeter.kafka import Kafka, Topic

_POLL_S = 0.2


def waiting_since(
    kafka: Kafka,
    topics: Mapping[str, Topic | None],
    next_offsets: Mapping[tuple[str, int], int],
    *,
    within_s: float,
) -> dict[tuple[str, int], dt.datetime]:
    """When Kafka received the first message at or after an offset, by feed and partition.

    Nothing is committed to Kafka. Partitions that do not answer in time, or that this login may not read, are missing.
    """
    names = {topic.name: feed for feed, topic in topics.items() if topic is not None}
    # One message of each partition is enough: no more is fetched than the batch that has it.
    settings = {"group.id": "bytemeter-status", "enable.auto.commit": False, "fetch.message.max.bytes": 1}
    consumer = Consumer({**kafka.librdkafka(), **settings, "log_level": 0})
    found: dict[tuple[str, int], dt.datetime] = {}
    try:
        wanted = [
            TopicPartition(topics[feed].name, partition, offset)  # type: ignore[union-attr]
            for (feed, partition), offset in next_offsets.items()
        ]
        consumer.assign(wanted)
        deadline = time.monotonic() + within_s
        while len(found) < len(wanted) and time.monotonic() < deadline:
            message = consumer.poll(_POLL_S)
            if message is None or message.error():
                continue
            topic, partition = str(message.topic()), int(message.partition() or 0)
            received_ms = message.timestamp()[1]
            found.setdefault((names[topic], partition), dt.datetime.fromtimestamp(received_ms / 1_000, dt.UTC))
            consumer.pause([TopicPartition(topic, partition)])
    except KafkaException:
        return found
    finally:
        consumer.close()
    return found
