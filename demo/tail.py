"""The latest messages of the topic threshold-events, read by a Kafka consumer."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bytemeter.kafka import Kafka
from bytemeter.plans.events import TOPIC

_SHOWN = 6
_POLL_S = 0.5


@dataclass(frozen=True)
class Received:
    """A threshold event with the partition and offset of its message."""

    partition: int
    offset: int
    event: dict[str, Any]


@dataclass
class Tail:
    """Follows the topic from its end on; ``received`` holds the last six messages, the latest first."""

    kafka: Kafka
    received: deque[Received] = field(default_factory=lambda: deque(maxlen=_SHOWN), init=False)

    def follow(self, stop: threading.Event) -> None:
        """Read messages until stopped."""
        topic = self.kafka.topic_name(TOPIC)
        described = self.kafka.describe(topic)
        if described is None:
            return
        consumer = Consumer(
            {**self.kafka.librdkafka(), "group.id": "bytemeter-demo", "enable.auto.commit": False, "log_level": 0}
        )
        try:
            consumer.assign([TopicPartition(topic, p, offset) for p, offset in described.latest.items()])
            while not stop.is_set():
                message = consumer.poll(_POLL_S)
                if message is None or message.error() or message.value() is None:
                    continue
                event = json.loads(message.value() or b"{}")
                self.received.appendleft(Received(message.partition() or 0, message.offset() or 0, event))
        finally:
            consumer.close()
