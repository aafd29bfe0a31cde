"""Sends messages to Kafka, as fast as the client can or at the pace of their event times."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from bytemeter.errors import TransientError
from bytemeter.kafka import undelivered
from simulator.traffic import Message

_FLUSH_S = 60
_MOST_QUEUED = 200_000


def producer(client: Mapping[str, str]) -> Producer:
    """An idempotent producer with large batches: an acknowledged message is in the topic once."""
    return Producer(
        {
            **client,
            "enable.idempotence": True,
            "log_level": 3,
            "linger.ms": 20,
            "batch.num.messages": 50_000,
            "batch.size": 1_000_000,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 2 * _MOST_QUEUED,
            "queue.buffering.max.kbytes": 262_144,
            "delivery.report.only.error": True,
        }
    )


def send(
    to: Producer,
    topic: str,
    pieces: Iterable[tuple[float, list[Message]]],
    *,
    paced: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Send all pieces and wait until the broker has acknowledged them.

    Args:
        paced: hold each piece back until the wall clock reaches its event time.
        stop: set from another thread to end early; messages sent by then are acknowledged.

    Raises:
        BytemeterError: the user may not write to the topic.
        TransientError: messages were refused for another reason, or not acknowledged in time.
    """
    stop = stop or threading.Event()
    failures: list[KafkaError] = []

    def note(error: KafkaError | None, _: Delivered) -> None:
        if error is not None:
            failures.append(error)

    for due, messages in pieces:
        if paced:
            stop.wait(max(0.0, due - time.time()))
        if stop.is_set() or failures:
            break
        while len(to) > _MOST_QUEUED:
            to.poll(0.05)
        try:
            taken = to.produce_batch(topic, messages, on_delivery=note)
        except KafkaException as error:
            raise TransientError(f"Kafka refused a message for {topic}: {error.args[0].str()}") from error
        if taken < len(messages):
            refused = next(message["_error"] for message in messages if "_error" in message)
            raise TransientError(f"Kafka's client took {taken} of {len(messages)} messages for {topic}: {refused!r}")
        to.poll(0)
    unsent = to.flush(_FLUSH_S)
    lost = f"{len(failures) + unsent} messages did not reach {topic}"
    if failures:
        raise undelivered(lost, failures[0])
    if unsent:
        raise TransientError(f"{lost}: not acknowledged within {_FLUSH_S} s; is Kafka up?")
