"""Sends messages to Kafka, as fast as the client can or at the pace of their event times."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.kafka_errors import RDKAFKA_LOGGER, write_refused
from simulator.traffic import Message

_FLUSH_S = 60
_MOST_QUEUED = 200_000


def producer(client: Mapping[str, str]) -> Producer:
    """An idempotent producer with large batches: an acknowledged message is in the topic once."""
    return Producer(
        {
            **client,
            "enable.idempotence": True,
            "logger": RDKAFKA_LOGGER,
            "log_level": 3,
            "linger.ms": 20,
            "batch.num.messages": 50_000,
            "batch.size": 1_000_000,
            # Batches of telemetry; other topics refuse messages of over 1 MB.
            "message.max.bytes": 8 * 2**20,
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
        TransientError: messages were refused, or not acknowledged in time.
        BytemeterError: an ACL of Kafka refused them.
    """
    failures: list[KafkaError] = []
    try:
        _produce(to, topic, pieces, failures, paced=paced, stop=stop or threading.Event())
        unsent = to.flush(_FLUSH_S)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        raise write_refused(reason, topic) or TransientError(
            f"Kafka refused a message for {topic}: {reason.str()}"
        ) from error
    if failures or unsent:
        raise _not_delivered(topic, failures, unsent)


def _produce(
    to: Producer,
    topic: str,
    pieces: Iterable[tuple[float, list[Message]]],
    failures: list[KafkaError],
    *,
    paced: bool,
    stop: threading.Event,
) -> None:
    """Hand over the pieces until stopped, or until there are failures, which are added to the list."""

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
        if to.produce_batch(topic, messages, on_delivery=note) < len(messages):
            # The client puts its errors into the messages.
            untaken: list[Any] = [message["_error"] for message in messages if "_error" in message]
            failures += untaken
            break
        to.poll(0)


def _not_delivered(topic: str, failures: Sequence[KafkaError], unsent: int) -> BytemeterError:
    refused = next((line for failure in failures if (line := write_refused(failure, topic))), None)
    reason = failures[0].str() if failures else f"not acknowledged within {_FLUSH_S} s"
    return refused or TransientError(f"{len(failures) + unsent} messages did not reach {topic}: {reason}; is Kafka up?")
