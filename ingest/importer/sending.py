"""Messages to Kafka from a thread that waits: blocks are acknowledged in their order, with their offsets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.kafka import Kafka

# Blocks in flight; some ten thousand messages each.
_MOST_BLOCKS = 8
_POLL_S = 0.05


@dataclass
class Block:
    """Messages that were sent together, with what is known of their lines.

    Attributes:
        next_line: lines before this one are done with this block and those before it.
        accepted, invalid, repeated: lines of this block; accepted ones are sent.
        offsets: by partition the first and the last offset of acknowledged messages.
    """

    next_line: int
    accepted: int = 0
    invalid: int = 0
    repeated: int = 0
    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)
    unanswered: int = 0
    error: KafkaError | None = None

    def answered(self, error: KafkaError | None, message: Delivered) -> None:
        """Note the answer for one message."""
        self.unanswered -= 1
        if error is not None:
            self.error = self.error or error
            return
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None:
            return
        first, last = self.offsets.get(partition, (offset, offset))
        self.offsets[partition] = (min(first, offset), max(last, offset))


class Sender:
    """Sends the blocks of a file. What Kafka has not acknowledged in time may still have arrived."""

    def __init__(self, kafka: Kafka, topic: str, timeout_s: float) -> None:
        """Make the client.

        Raises:
            BytemeterError: it refuses the settings.
        """
        self._topic, self._servers, self._timeout_s = kafka.topic_name(topic), kafka.servers, timeout_s
        self._blocks: deque[Block] = deque()
        options: dict[str, Any] = {
            **kafka.librdkafka(),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": round(1_000 * timeout_s),
            "linger.ms": 20,
            "compression.type": "lz4",
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 262_144,
            "allow.auto.create.topics": False,
            "log_level": 0,
        }
        try:
            self._producer = Producer(options)
        except KafkaException as error:
            raise BytemeterError(f"Kafka's client refuses its settings: {error}; check BYTEMETER_KAFKA_*") from None

    def send(self, block: Block, messages: list[dict[str, Any]]) -> Iterator[Block]:
        """Send a block; yields blocks that are acknowledged, in their order.

        Raises:
            TransientError: Kafka did not acknowledge a message in time.
        """
        block.unanswered = len(messages)
        self._blocks.append(block)
        deadline = time.monotonic() + self._timeout_s
        while messages:
            self._producer.produce_batch(self._topic, messages, on_delivery=block.answered)
            messages = [message for message in messages if message.pop("_error", None)]
            if messages:
                # The client's queue is full, or it does not know the topic.
                self._producer.poll(_POLL_S)
                if time.monotonic() > deadline:
                    raise self._unanswered("its queue stayed full")
        self._producer.poll(0)
        yield from self._acknowledged(_MOST_BLOCKS)

    def finish(self) -> Iterator[Block]:
        """Wait for all blocks; yields those that are acknowledged, in their order.

        Raises:
            TransientError: Kafka did not acknowledge a message in time.
        """
        yield from self._acknowledged(0)

    def close(self) -> None:
        """Drop what was not sent, e.g. after an error."""
        self._producer.purge()
        self._producer.flush(_POLL_S)

    def _acknowledged(self, most: int) -> Iterator[Block]:
        while self._blocks:
            block = self._blocks[0]
            if block.error is not None:
                raise self._unanswered(block.error.str())
            if not block.unanswered:
                yield self._blocks.popleft()
            elif len(self._blocks) > most:
                self._producer.poll(_POLL_S)
            else:
                return

    def _unanswered(self, reason: str) -> BytemeterError:
        return TransientError(
            f"Kafka at {self._servers} did not acknowledge records for the topic {self._topic} within "
            f"{self._timeout_s:g} s: {reason}; check that it runs and that `bytemeter migrate` made the topic, then "
            "run the import again"
        )
