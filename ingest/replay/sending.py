"""Messages that are sent again, in transactions of Kafka that also commit a number each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, TopicPartition

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import Feed
from bytemeter.kafka import Kafka
from bytemeter.kafka_errors import transaction_refused
from bytemeter.transactions import TransactionalProducer, is_fenced

_TIMEOUT_S = 60.0
_MOST_BYTES = 8 * 2**20
# The offset of this partition, in the group of the replays, is the number of the last transaction.
_OF_NUMBER = 0


class Message(NamedTuple):
    """A failed message as it was received, with its position."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Sending:
    """The transactions that send a feed's messages again.

    Delivery: exactly once for readers of committed messages, if whoever begins asks for ``last_number`` first.
    An earlier replay that still runs can send nothing more once a later one has begun.
    """

    def __init__(self, kafka: Kafka, feed: Feed) -> None:
        """Make the clients.

        Raises:
            BytemeterError: they refuse the settings.
        """
        self._topic, self._servers = kafka.topic_name(feed.topic), kafka.servers
        self._name = kafka.topic_name(f"bytemeter-replay-{feed.name}")
        self._producer = TransactionalProducer(
            kafka, self._name, self._explained, _TIMEOUT_S, message_max_bytes=_MOST_BYTES
        )

    def last_number(self) -> int | None:
        """Fence earlier replays; returns the number of the last transaction that Kafka has committed.

        Raises:
            TransientError: Kafka is away.
            BytemeterError: an ACL refuses transactions.
        """
        self._producer.fence()
        (found,) = self._producer.stored([TopicPartition(self._topic, _OF_NUMBER)])
        return found.offset if found.offset >= 0 else None

    def send(self, messages: Sequence[Message], number: int) -> None:
        """Send messages, keys and values as they were received, and commit them with their number.

        Raises:
            BytemeterError: a later replay has begun, or Kafka refuses them.
            TransientError: Kafka did not answer in time. They may be sent: ``last_number`` of the next replay tells.
        """
        self._producer.begin()
        for message in messages:
            self._producer.produce(self._topic, message.key, message.value, ())
        self._producer.flush()
        self._producer.commit([TopicPartition(self._topic, _OF_NUMBER, number)])

    def close(self) -> None:
        """Abort what is open, and leave."""
        self._producer.close()

    def _explained(self, error: KafkaError) -> BytemeterError:
        if is_fenced(error):
            return BytemeterError(
                f"Kafka at {self._servers} takes nothing more from this replay ({error.str()}): another one has begun"
            )
        return transaction_refused(error, self._topic, self._name) or TransientError(
            f"Kafka at {self._servers} did not take messages for {self._topic} within {_TIMEOUT_S:g} s: {error.str()}; "
            "check that it runs, then run the replay again: it sends none twice"
        )
