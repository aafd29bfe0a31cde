"""A producer of Kafka transactions, which commit messages together with offsets of a group of their own.

Its transactional id names who it is: whoever begins with the same id fences the one before. Kafka aborts what that had
open, and takes nothing more from it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from bytemeter.errors import BytemeterError
from bytemeter.kafka import Kafka
from bytemeter.kafka_errors import RDKAFKA_LOGGER

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
# Makes the line to raise of an error.
Explain = Callable[[KafkaError], BytemeterError]


def is_fenced(error: KafkaError) -> bool:
    """Whether Kafka takes nothing more from the producer."""
    return error.code() in _FENCED


class TransactionalProducer:
    """Transactions, one at a time.

    Delivery: exactly once for readers of committed messages, if whoever uses it begins where ``stored`` says.
    """

    def __init__(
        self,
        kafka: Kafka,
        name: str,
        explain: Explain,
        timeout_s: float,
        *,
        patience_s: float | None = None,
        **options: Any,
    ) -> None:
        """Make the clients.

        Args:
            name: the transactional id and the group, with the topic prefix.
            explain: the error to raise of one of Kafka's.
            timeout_s: for each answer of Kafka, and for a transaction: after that Kafka aborts it.
            patience_s: for the answers of coordinators, by default as long. After the restart of a broker the client
                may wait for a minute or two in a call whose own timeout is shorter; a new producer need not.
            options: further options of the producer, with ``_`` for ``.``.

        Raises:
            BytemeterError: they refuse the settings.
        """
        self._name, self._explain, self._timeout_s = name, explain, timeout_s
        self._open = False
        self._patience_s = timeout_s if patience_s is None else patience_s
        client: dict[str, Any] = {**kafka.librdkafka(), "logger": RDKAFKA_LOGGER, "log_level": 0}
        further = {option.replace("_", "."): value for option, value in options.items()}
        try:
            self._producer = Producer({**client, **self._options(), **further})
            group = {"group.id": name, "enable.auto.commit": False, "isolation.level": "read_committed"}
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
            # What is in flight is limited by who produces.
            "queue.buffering.max.messages": 4_000_000,
            "queue.buffering.max.kbytes": 2**20,
        }

    def fence(self) -> None:
        """Fence whoever used the same name; wait until its last transaction has ended.

        Raises:
            BytemeterError: what ``explain`` makes of Kafka's error.
        """
        self._call(self._producer.init_transactions)

    def stored(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        """The offsets of the group, after the end of transactions that are being ended; -1001 where there is none.

        Asked by an admin client: a consumer that may not know its group waits instead of saying so.

        Raises:
            BytemeterError: see ``fence``.
        """
        found: list[TopicPartition] = self._call(lambda timeout_s: self._ask(list(partitions), timeout_s))
        return found

    def _ask(self, partitions: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
        asked = ConsumerGroupTopicPartitions(self._name, partitions)
        answers = self._admin.list_consumer_group_offsets([asked], require_stable=True, request_timeout=timeout_s)
        found: list[TopicPartition] = answers[self._name].result().topic_partitions
        for partition in found:
            if partition.error is not None:
                raise KafkaException(partition.error)
        return found

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            BytemeterError: see ``fence``.
        """
        self._call(lambda _: self._producer.begin_transaction())
        self._open = True

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], partition: int = -1) -> None:
        """Hand messages to the client, in their order; waits while its queue is full.

        Args:
            topic: with its prefix.
            messages: as ``Producer.produce_batch`` takes them.
            partition: -1 for that of the key.

        Raises:
            BytemeterError: see ``fence``.
        """
        deadline = time.monotonic() + self._timeout_s
        while messages:
            try:
                taken = self._producer.produce_batch(topic, messages, partition=partition)
            except KafkaException as error:
                raise self._explain(error.args[0]) from None
            if taken == len(messages):
                break
            refused = [message for message in messages if "_error" in message]
            self._wait_or_raise(refused[0]["_error"], deadline)
            for message in refused:
                del message["_error"]
            messages = refused
        self._producer.poll(0)

    def produce(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> None:
        """Hand a message with headers to the client; waits while its queue is full.

        Raises:
            BytemeterError: see ``fence``.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._producer.produce(topic, value, key, headers=list(headers))
            except BufferError:
                self._wait_or_raise(KafkaError(KafkaError._QUEUE_FULL), deadline)
            except KafkaException as error:
                raise self._explain(error.args[0]) from None

    def poll(self, timeout_s: float) -> None:
        """Let the client call back for messages that were answered."""
        self._producer.poll(timeout_s)

    def flush(self) -> None:
        """Wait until all messages are answered, or the timeout.

        Raises:
            BytemeterError: see ``fence``.
        """
        deadline = time.monotonic() + self._timeout_s
        try:
            while self._producer.flush(_POLL_S) and time.monotonic() < deadline:
                pass
        except KafkaException as error:
            raise self._explain(error.args[0]) from None

    def commit(self, offsets: Sequence[TopicPartition]) -> None:
        """Commit the messages with offsets of the group.

        Raises:
            BytemeterError: see ``fence``. The transaction may be committed: ``stored`` of the next start says so.
        """
        group = self._consumer.consumer_group_metadata()
        self._call(lambda timeout_s: self._producer.send_offsets_to_transaction(list(offsets), group, timeout_s))
        self._call(self._producer.commit_transaction)
        self._open = False

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

    def _wait_or_raise(self, error: KafkaError, deadline: float) -> None:
        if error.code() != KafkaError._QUEUE_FULL or time.monotonic() > deadline:
            raise self._explain(error)
        self._producer.poll(_POLL_S)

    def _call(self, call: Callable[[float], Any]) -> Any:
        """Call the client with its patience in seconds; what may be called again is, until that is over.

        Raises:
            BytemeterError: it failed for good, or did not return in time.
        """
        answer: Future[Any] = Future()
        threading.Thread(target=self._answer, args=(call, answer), name="transaction", daemon=True).start()
        try:
            # Its own timeout comes first, unless the client does not keep it.
            return answer.result(self._patience_s + 1)
        except TimeoutError:
            raise self._explain(KafkaError(KafkaError._TIMED_OUT)) from None
        except KafkaException as raised:
            raise self._explain(raised.args[0]) from None

    def _answer(self, call: Callable[[float], Any], answer: Future[Any]) -> None:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                answer.set_result(call(max(_POLL_S, deadline - time.monotonic())))
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                not_yet = error.code() in _NOT_YET
                if (error.retriable() or not_yet) and time.monotonic() < deadline:
                    time.sleep(_POLL_S if not_yet else 0)
                    continue
                answer.set_exception(raised)
            except BaseException as raised:
                answer.set_exception(raised)
            return
