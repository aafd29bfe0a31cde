"""Messages to Kafka: produced in batches, answered when Kafka has acknowledged them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypedDict

from confluent_kafka import KafkaError, KafkaException, Producer

from bytemeter.kafka import Kafka
from bytemeter.logs import logger

# While messages are in flight, Kafka's answers are asked for so often; else errors alone.
_BUSY_S, _IDLE_S = 0.001, 0.5
_PROBE_S = 1.0
_QUEUED_KIB = 262_144
_ANY = -1  # RD_KAFKA_PARTITION_UA


class Message(TypedDict):
    """A message for Kafka."""

    value: bytes
    key: str | None


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
        await asyncio.to_thread(self._producer.flush, self._timeout_s)
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def deliver(self, to: Destination, messages: Sequence[Message]) -> list[bool]:
        """Produce messages and wait for the answers.

        Returns:
            For each message whether Kafka has acknowledged it.
        """
        batch = _Batch(len(messages), asyncio.get_running_loop().create_future())
        produced: list[dict[str, Any]] = [
            {**message, "callback": partial(batch.answered, place)} for place, message in enumerate(messages)
        ]
        self._waiting += len(produced)
        try:
            self._produce(to, produced, batch)
            self._wake.set()
            await batch.done
        finally:
            self._waiting -= len(produced)
        if any(batch.delivered):
            self.available = True
        if not all(batch.delivered):
            self._doubted.set()
        return batch.delivered

    def _produce(self, to: Destination, produced: list[dict[str, Any]], batch: _Batch) -> None:
        if self._fatal:
            self._renew()
        try:
            partition = _ANY if to.partition is None else to.partition
            taken = self._producer.produce_batch(to.topic, produced, partition=partition)
        except (BufferError, KafkaException) as error:
            logger().warning("not produced", topic=to.topic, error=str(error))
            taken = 0
            for message in produced:
                message["_error"] = error
        if taken < len(produced):
            for place, message in enumerate(produced):
                if "_error" in message:
                    batch.answered(place, message["_error"], None)

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
            topics = self._producer.list_topics(timeout=_PROBE_S).topics
        except KafkaException:
            return False
        self.missing = [topic for topic in self._topics if topic not in topics]
        return True

    def _new(self) -> Producer:
        return Producer(
            {
                **self._kafka.librdkafka(),
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": round(1_000 * self._timeout_s),
                "linger.ms": 2,
                "compression.type": "lz4",
                "batch.size": 1_000_000,
                "queue.buffering.max.messages": 2 * self._most_messages,
                "queue.buffering.max.kbytes": _QUEUED_KIB,
                "reconnect.backoff.ms": 100,
                "reconnect.backoff.max.ms": 1_000,
                "allow.auto.create.topics": False,
                "log_level": 0,
                "error_cb": self._told,
            }
        )

    def _told(self, error: KafkaError) -> None:
        # Called by poll, in the thread of the event loop, and by flush and list_topics in others.
        self._fatal = self._fatal or error.fatal()
        if self._tasks:
            self._tasks[0].get_loop().call_soon_threadsafe(self._doubted.set)

    def _renew(self) -> None:
        """Another producer in place of one that Kafka will not hear any more; what it has not sent fails."""
        logger().error("Kafka refused the producer's state; going on with a new one", kafka=self._kafka.servers)
        broken, self._producer, self._fatal = self._producer, self._new(), False
        broken.purge()
        broken.poll(0)


class _Batch:
    """Messages that were produced together.

    Attributes:
        delivered: by place, whether Kafka has acknowledged the message.
        done: set when all are answered.
    """

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self.delivered = [False] * count
        self.done = done
        self._unanswered = count
        if not count:
            done.set_result(None)

    def answered(self, place: int, error: object, _: object) -> None:
        """Note the answer for one message."""
        self.delivered[place] = error is None
        self._unanswered -= 1
        if not self._unanswered and not self.done.done():
            self.done.get_loop().call_soon_threadsafe(self.done.set_result, None)
