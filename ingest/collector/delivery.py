"""Messages to Kafka: produced in batches, answered when Kafka has acknowledged them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from bytemeter.errors import BytemeterError
from bytemeter.kafka import Kafka
from bytemeter.logs import logger

# While messages are in flight, Kafka's answers are asked for so often; else errors alone.
_BUSY_S, _IDLE_S = 0.001, 0.5
_PROBE_S = 1.0
# The client gives up messages a little late; just after Kafka has gone, 10 s late.
_LATE_S = 1.0
_LAST_S = 5.0
_QUEUED_KIB = 262_144
_MOST_MESSAGE_BYTES = 8 * 2**20
_ANY = -1  # RD_KAFKA_PARTITION_UA

# A message for Kafka, as confluent-kafka takes many at a time: ``value`` and ``key``, which may be None.
Message = dict[str, Any]


class Destination(NamedTuple):
    """Where messages go.

    Attributes:
        topic: its name on the cluster.
        partition: None to let keys decide, or chance where there are none.
    """

    topic: str
    partition: int | None = None


class Delivery:
    """Brings messages to Kafka, at least once, in the order in which they are given for each partition.

    A message counts as delivered once all in-sync replicas have it (``acks=all``); the client's own retries do not
    repeat it. One that was not acknowledged in time may still have arrived.

    Attributes:
        available: whether Kafka answered when it was last asked.
        missing: topics that Kafka does not have, as of then.
    """

    def __init__(self, kafka: Kafka, topics: Sequence[str], *, timeout_s: float, most_messages: int) -> None:
        """Make the client.

        Raises:
            BytemeterError: it refuses the settings.
        """
        self._kafka = kafka
        self._topics = topics
        self._timeout_s = timeout_s
        self._most_messages = most_messages
        self._producer = self._new()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._doubted = asyncio.Event()
        self._fatal = False
        self._tasks: list[asyncio.Task[None]] = []
        self.available = False
        self.missing: list[str] = []

    async def start(self) -> None:
        """Ask Kafka once, then deliver in the background."""
        self.available = await asyncio.to_thread(self._answers)
        self._doubted.set()
        self._tasks = [asyncio.create_task(self._serve()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """Wait for what is in flight, and end."""
        await asyncio.to_thread(self._producer.flush, min(self._timeout_s, _LAST_S))
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def deliver(self, to: Destination, messages: list[Message]) -> list[bool]:
        """Produce messages and wait for the answers.

        Returns:
            For each message whether Kafka has acknowledged it; if the client gives no answer for one of them, none has.
        """
        batch = _Batch(len(messages), asyncio.get_running_loop().create_future())
        self._waiting += len(messages)
        try:
            self._produce(to, messages, batch)
            self._wake.set()
            async with asyncio.timeout(self._timeout_s + _LATE_S):
                await batch.done
        except TimeoutError:
            self._doubted.set()
            return [False] * len(messages)
        finally:
            self._waiting -= len(messages)
        if not batch.failed:
            self.available = True
            return [True] * len(messages)
        self._doubted.set()
        return [message["value"] not in batch.failed for message in messages]

    def _produce(self, to: Destination, messages: list[Message], batch: _Batch) -> None:
        if self._fatal:
            self._renew()
        try:
            partition = _ANY if to.partition is None else to.partition
            taken = self._producer.produce_batch(to.topic, messages, partition=partition, on_delivery=batch.answered)
        except (BufferError, KafkaException) as error:
            logger().warning("not produced", topic=to.topic, error=str(error))
            batch.refused(messages)
            return
        if taken < len(messages):
            refused = [message for message in messages if message.pop("_error", None)]
            batch.refused(refused)

    async def _serve(self) -> None:
        """Hand Kafka's answers to those who wait, in this thread: another one would compete for the interpreter."""
        while True:
            self._producer.poll(0)
            if self._waiting:
                await asyncio.sleep(_BUSY_S)
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _IDLE_S)

    async def _watch(self) -> None:
        """After a doubt, ask Kafka until it answers and has all topics."""
        while True:
            await self._doubted.wait()
            self._doubted.clear()
            answers = await asyncio.to_thread(self._answers)
            if answers != self.available:
                logger().warning(
                    "Kafka answers again" if answers else "Kafka does not answer", kafka=self._kafka.servers
                )
            self.available = answers
            if not answers or self.missing:
                await asyncio.sleep(_PROBE_S)
                self._doubted.set()

    def _answers(self) -> bool:
        try:
            topics = self._producer.list_topics(timeout=min(_PROBE_S, self._timeout_s)).topics
        except KafkaException:
            return False
        self.missing = [topic for topic in self._topics if topic not in topics]
        return True

    def _new(self) -> Producer:
        options = {
            **self._kafka.librdkafka(),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": round(1_000 * self._timeout_s),
            # Small requests were gathered before.
            "linger.ms": 1,
            "compression.type": "lz4",
            "batch.size": 1_000_000,
            # Batches of telemetry. Other topics take messages of up to 1 MB, and larger ones are not made for them.
            "message.max.bytes": _MOST_MESSAGE_BYTES,
            "queue.buffering.max.messages": 2 * self._most_messages,
            "queue.buffering.max.kbytes": _QUEUED_KIB,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "allow.auto.create.topics": False,
            "log_level": 0,
            "error_cb": self._told,
        }
        try:
            return Producer(options)
        except KafkaException as error:
            raise BytemeterError(f"Kafka's client refuses its settings: {error}; check BYTEMETER_KAFKA_*") from None

    def _told(self, error: KafkaError) -> None:
        # Called by poll, and at the end by flush in another thread.
        self._fatal = self._fatal or error.fatal()
        if self._tasks:
            self._tasks[0].get_loop().call_soon_threadsafe(self._doubted.set)

    def _renew(self) -> None:
        """Another producer in place of one that Kafka will not hear any more; what it has not sent fails."""
        logger().error("Kafka refused the producer's state; going on with a new one", kafka=self._kafka.servers)
        broken, self._producer, self._fatal = self._producer, self._new(), False
        broken.purge()
        # Who waits for its messages is told.
        broken.flush(_LAST_S)


class _Batch:
    """Messages that were produced together.

    Attributes:
        failed: values of messages that Kafka has not acknowledged.
        done: set when all are answered.
    """

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self.failed: set[bytes | None] = set()
        self.done = done
        self._unanswered = count

    def answered(self, error: KafkaError | None, message: Delivered) -> None:
        """Note the answer for one message."""
        if error is not None:
            self.failed.add(message.value())
        self._count(1)

    def refused(self, messages: Sequence[Message]) -> None:
        """Note messages that the client did not take."""
        self.failed.update(message["value"] for message in messages)
        self._count(len(messages))

    def _count(self, answered: int) -> None:
        self._unanswered -= answered
        if not self._unanswered:
            self.done.get_loop().call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
