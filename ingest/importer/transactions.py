"""Kafka transactions of an import: messages, and the resume point after them as an offset of a group of its own.

Their transactional id is made of the content, so that an import fences an earlier one of the same content: Kafka aborts
what that had open, and takes nothing more from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka import Message as Delivered

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.kafka import Kafka
from bytemeter.kafka_errors import transaction_refused
from bytemeter.transactions import TransactionalProducer, is_fenced
from ingest.importer.resume import ResumePoint

# The offset of this partition, in the import's group, is the next line.
_OF_POINT = 0
_MOST_IN_FLIGHT = 64 * 2**20
_POLL_S = 0.05


class FencedError(BytemeterError):
    """Kafka takes nothing more from this import."""


class Transactions:
    """The transactions of one content, one at a time."""

    def __init__(self, kafka: Kafka, topic: str, content_hash: str, timeout_s: float) -> None:
        """Make the clients.

        Args:
            topic: of the feed, without the topic prefix.
            timeout_s: for each answer of Kafka, and for a transaction: after that Kafka aborts it.

        Raises:
            BytemeterError: they refuse the settings.
        """
        self._topic, self._servers, self._timeout_s = kafka.topic_name(topic), kafka.servers, timeout_s
        self._name = kafka.topic_name(f"bytemeter-import-{content_hash}")
        self._in_flight = 0
        self._offsets: dict[int, tuple[int, int]] = {}
        self._producer = TransactionalProducer(kafka, self._name, self._explained, timeout_s)

    def resume(self) -> ResumePoint | None:
        """Fence earlier imports of the content; returns the resume point that Kafka has committed, if it has one.

        Raises:
            TransientError: Kafka is away.
            BytemeterError: an ACL refuses transactions.
        """
        self._producer.fence()
        (found,) = self._producer.stored([TopicPartition(self._topic, _OF_POINT)])
        if found.offset < 0:
            return None
        try:
            return ResumePoint.read(found.offset, found.metadata or "")
        except (msgspec.MsgspecError, ValueError):
            raise BytemeterError(
                f"the group {self._name} of Kafka at {self._servers} has the offset {found.offset} with the metadata "
                f"{(found.metadata or '')[:100]!r}, which no import wrote; delete the group, and run the import again"
            ) from None

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            BytemeterError: Kafka takes nothing more from this producer.
        """
        self._producer.begin()
        self._offsets = {}

    def produce(self, messages: list[dict[str, Any]], partition: int) -> None:
        """Produce messages; waits while much is in flight. Kafka's answers are heard in ``commit``.

        Args:
            messages: as ``Producer.produce_batch`` takes them.
            partition: -1 for any.

        Raises:
            TransientError: Kafka did not answer in time.
        """
        size = sum([len(message["value"]) for message in messages])
        deadline = time.monotonic() + self._timeout_s
        while self._in_flight > _MOST_IN_FLIGHT:
            self._producer.poll(_POLL_S)
            if time.monotonic() > deadline:
                raise self._explained(KafkaError(KafkaError._TIMED_OUT, "too much waits for an acknowledgement"))
        # Of a partition the first and the last message are answered for all: they are stored in their order.
        marked = messages if partition < 0 else messages[:1] + messages[-1:]
        for message in marked:
            message["callback"] = self._answered
        marked[-1]["callback"] = self._last_answered(size)
        self._in_flight += size
        self._producer.produce_batch(self._topic, messages, partition)

    def commit(self, point: ResumePoint) -> ResumePoint:
        """Commit the messages with the resume point after them; returns the point with their offsets.

        Raises:
            FencedError: another import of the content has begun.
            TransientError: Kafka did not answer in time. The transaction may be committed: ``resume`` of the next
                import tells.
        """
        self._producer.flush()
        point = point.with_offsets(self._offsets)
        self._producer.commit([TopicPartition(self._topic, _OF_POINT, point.next_line, point.metadata())])
        return point

    def close(self) -> None:
        """Abort what is open, and leave. Kafka aborts it after the timeout if it cannot be told."""
        self._producer.close()

    def _answered(self, error: KafkaError | None, message: Delivered) -> None:
        partition, offset = message.partition(), message.offset()
        if error is None and partition is not None and offset is not None:
            first, last = self._offsets.get(partition, (offset, offset))
            self._offsets[partition] = (min(first, offset), max(last, offset))

    def _last_answered(self, size: int) -> Callable[[KafkaError | None, Delivered], None]:
        def answered(error: KafkaError | None, message: Delivered) -> None:
            self._in_flight -= size
            self._answered(error, message)

        return answered

    def _explained(self, error: KafkaError) -> BytemeterError:
        if is_fenced(error):
            return FencedError(
                f"Kafka at {self._servers} takes nothing more from this import ({error.str()}): another import of the "
                f"same content has begun, or this one was silent for over {self._timeout_s:g} s; the file is left"
            )
        return transaction_refused(error, self._topic, self._name) or TransientError(
            f"Kafka at {self._servers} did not take records for the topic {self._topic} within {self._timeout_s:g} s: "
            f"{error.str()}; check that it runs, then run the import again: it goes on after what is committed"
        )
