"""The topics of telemetry: made for a test, and what readers of committed messages find on them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.telemetry import topics


class Routed(NamedTuple):
    """A message on a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def document(self) -> dict[str, Any]:
        """The value as JSON."""
        found: dict[str, Any] = json.loads(self.value or b"null")
        return found


SENT_TO = (topics.RAW, topics.UNIQUE, *topics.SENT_TO)


def create_topics(place: Settings) -> None:
    """The topics to which telemetry is sent, which other tests do not need."""
    kafka = Kafka(place)
    kafka.create_all({kafka.topic_name(topic): topics.MESSAGE_BYTES[topic] for topic in topics.MESSAGE_BYTES})


def routed(place: Settings, topic: str, *, uncommitted: bool = False) -> list[Routed]:
    """All committed messages of a topic, or all that are there."""
    kafka = Kafka(place)
    name = kafka.topic_name(topic)
    consumer = Consumer(
        {
            **kafka.librdkafka(),
            "group.id": "tests",
            "isolation.level": "read_uncommitted" if uncommitted else "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 16 * 2**20,
            # By default the broker waits half a second before it says that nothing follows.
            "fetch.wait.max.ms": 10,
        }
    )
    described = kafka.describe(name)
    assert described is not None
    consumer.assign([TopicPartition(name, partition, 0) for partition in described.latest])
    found: list[Routed] = []
    open_ = set(described.latest)
    while open_:
        for message in consumer.consume(1_000, 0.1):
            if message.error():
                assert message.error().name() == "_PARTITION_EOF", message.error()
                open_.discard(message.partition())
                continue
            headers = dict(message.headers() or [])
            found.append(Routed(message.partition(), message.offset(), message.key(), message.value(), headers))
    consumer.close()
    return found


def mids(place: Settings, topic: str) -> list[str]:
    """The event ids on a topic, sorted."""
    return sorted(message.document["mid"] for message in routed(place, topic))
