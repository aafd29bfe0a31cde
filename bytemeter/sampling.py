"""How large a topic's next messages are, known from a few of them before Spark reads them all."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bytemeter.kafka import Kafka
from bytemeter.offset_log import Offsets

_MESSAGES, _BYTES = 200, 2**20
_WITHIN_S, _POLL_S = 1.0, 0.05
_SETTINGS = {
    "group.id": "bytemeter-sample",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    # Of each partition about a batch.
    "fetch.message.max.bytes": 2**17,
    "fetch.wait.max.ms": 20,
    "queued.min.messages": 1,
    "log_level": 0,
}


def message_bytes(kafka: Kafka, topic: str, start: Offsets, end: Offsets) -> float:
    """The average size of the first messages at the offsets [start, end); 0 if Kafka does not show any in time.

    Nothing is committed to Kafka. Messages after these may have other sizes.

    Args:
        start: of the partitions of ``end``; one that is missing begins at 0.
    """
    begins = {partition: start.get(partition, 0) for partition in end}
    asked = [TopicPartition(topic, p, offset) for p, offset in begins.items() if offset < end[p]]
    sizes: list[int] = []
    deadline = time.monotonic() + (_WITHIN_S if asked else 0)
    try:
        consumer = Consumer({**kafka.librdkafka(), **_SETTINGS})
        try:
            consumer.assign(asked)
            while len(sizes) < _MESSAGES and sum(sizes) < _BYTES and time.monotonic() < deadline:
                found = consumer.consume(_MESSAGES - len(sizes), _POLL_S)
                sizes += [len(message.value() or b"") for message in found if not message.error()]
        finally:
            consumer.close()
    except KafkaException:
        return 0.0
    return sum(sizes) / len(sizes) if sizes else 0.0


def average(sizes: Mapping[str, float], counts: Mapping[str, int]) -> float:
    """The average size over several topics, of which so many messages are to be read; 0 where one is not known."""
    wanted = [name for name, count in counts.items() if count]
    if not wanted or not all(sizes[name] for name in wanted):
        return 0.0
    return sum(sizes[name] * counts[name] for name in wanted) / sum(counts[name] for name in wanted)
