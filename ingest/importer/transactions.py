"""Kafka transactions of an import: messages, and the resume point after them as an offset of a group of its own.

Their transactional id is made of the content, so that an import fences an earlier one of the same content: Kafka aborts
what that had open, and takes nothing more from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka import Message as Delivered
from confluent_kafka.admin import AdminClient

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.kafka import Kafka
from bytemeter.kafka_errors import RDKAFKA_LOGGER, transaction_refused
from ingest.importer.resume import ResumePoint

# The offset of this partition, in the import's group, is the next line.
_OF_POINT = 0
_MOST_IN_FLIGHT = 64 * 2**20
_POLL_S, _ABORT_S = 0.05, 5.0
_FENCED = (
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_TXN_STATE,
)


# Of a cluster that has just begun to keep offsets, or whose brokers change.
_NOT_YET = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)


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
        self._open = False
        client: dict[str, Any] = {**kafka.librdkafka(), "logger": RDKAFKA_LOGGER, "log_level": 0}
        try:
            self._producer = Producer({**client, **self._options()})
            group = {"group.id": self._name, "enable.auto.commit": False, "isolation.level": "read_committed"}
            self._consumer = Consumer({**client, **group})
            self._admin = AdminClient(client)
        except KafkaException as error:
            raise BytemeterError(f"Kafka's client refuses its settings: {error}; check BYTEMETER_KAFKA_*") from None

    def _options(self) -> dict[str, Any]:
        timeout_ms = round(1_000 * self._timeout_s)
        return {
            "transactional.id": self._name,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": timeout_ms,
            "linger.ms": 20,
            "compression.type": "lz4",
            "batch.size": 1_000_000,
            "batch.num.messages": 50_000,
            # What is in flight is limited here.
            "queue.buffering.max.messages": 4_000_000,
            "queue.buffering.max.kbytes": 2**20,
        }

    def resume(self) -> ResumePoint | None:
        """Fence earlier imports of the content; returns the resume point that Kafka has committed, if it has one.

        Raises:
            TransientError: Kafka is away.
            BytemeterError: an ACL refuses transactions.
        """
        self._call(self._producer.init_transactions)
        found = self._call(self._stored)
        if found.error is not None:
            raise self._explained(found.error)
        if found.offset < 0:
            return None
        try:
            return ResumePoint.read(found.offset, found.metadata or "")
        except (msgspec.MsgspecError, ValueError):
            raise BytemeterError(
                f"the group {self._name} of Kafka at {self._servers} has the offset {found.offset} with the metadata "
                f"{(found.metadata or '')[:100]!r}, which no import wrote; delete the group, and run the import again"
            ) from None

    def _stored(self, timeout_s: float) -> TopicPartition:
        """The offset of the import's group, after the end of transactions that are being ended.

        Asked by an admin client: a consumer that may not know its group waits instead of saying so.
        """
        asked = ConsumerGroupTopicPartitions(self._name, [TopicPartition(self._topic, _OF_POINT)])
        answers = self._admin.list_consumer_group_offsets([asked], require_stable=True, request_timeout=timeout_s)
        found: list[TopicPartition] = answers[self._name].result().topic_partitions
        return found[0]

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            BytemeterError: Kafka takes nothing more from this producer.
        """
        self._call(lambda _: self._producer.begin_transaction())
        self._open, self._offsets = True, {}

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
        try:
            taken = self._producer.produce_batch(self._topic, messages, partition=partition)
        except KafkaException as error:
            raise self._explained(error.args[0]) from None
        if taken < len(messages):
            raise self._explained(next(message["_error"] for message in messages if "_error" in message))
        self._producer.poll(0)

    def commit(self, point: ResumePoint) -> ResumePoint:
        """Commit the messages with the resume point after them; returns the point with their offsets.

        Raises:
            FencedError: another import of the content has begun.
            TransientError: Kafka did not answer in time. The transaction may be committed: ``resume`` of the next
                import tells.
        """
        deadline = time.monotonic() + self._timeout_s
        try:
            while self._producer.flush(_POLL_S) and time.monotonic() < deadline:
                pass
        except KafkaException as error:
            raise self._explained(error.args[0]) from None
        point = point.with_offsets(self._offsets)
        offset = TopicPartition(self._topic, _OF_POINT, point.next_line, point.metadata())
        group = self._consumer.consumer_group_metadata()
        self._call(lambda timeout_s: self._producer.send_offsets_to_transaction([offset], group, timeout_s))
        self._call(self._producer.commit_transaction)
        self._open = False
        return point

    def close(self) -> None:
        """Abort what is open, and leave. Kafka aborts it after the timeout if it cannot be told."""
        if self._open:
            with suppress(KafkaException):
                self._producer.abort_transaction(_ABORT_S)
        with suppress(KafkaException):
            self._producer.purge()
            # After a fatal error it raises that one again.
            self._producer.flush(_POLL_S)
        self._consumer.close()

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

    def _call(self, call: Callable[[float], Any]) -> Any:
        """Call the client with a timeout in seconds; what may be called again is, until the timeout.

        Raises:
            BytemeterError: it failed for good.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return call(max(_POLL_S, deadline - time.monotonic()))
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                not_yet = error.code() in _NOT_YET
                if not (error.retriable() or not_yet) or time.monotonic() > deadline:
                    raise self._explained(error) from None
                time.sleep(_POLL_S if not_yet else 0)

    def _explained(self, error: KafkaError) -> BytemeterError:
        if error.code() in _FENCED:
            return FencedError(
                f"Kafka at {self._servers} takes nothing more from this import ({error.str()}): another import of the "
                f"same content has begun, or this one was silent for over {self._timeout_s:g} s; the file is left"
            )
        return transaction_refused(error, self._topic, self._name) or TransientError(
            f"Kafka at {self._servers} did not take records for the topic {self._topic} within {self._timeout_s:g} s: "
            f"{error.str()}; check that it runs, then run the import again: it goes on after what is committed"
        )
