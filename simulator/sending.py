"""Sends simulated records to a feed's topic, at once or at the pace of the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from bytemeter.errors import BytemeterError
from bytemeter.feeds import feed_named
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from simulator.producer import producer, send
from simulator.traffic import Message, Sent, Traffic


def pace_of(traffic: Traffic) -> dict[str, Any]:
    """Arguments of ``simulate``: a fixed count of records is sent at once, endless traffic ten times a second."""
    paced = traffic.records is None
    return {"paced": paced, "piece": max(1, round(traffic.rate / 10)) if paced else 10_000}


class Simulated(Protocol):
    """Simulated messages of a feed."""

    feed: ClassVar[str]

    @property
    def sent(self) -> Sent:
        """Counts of what was made."""

    def pieces(self, size: int = ...) -> Iterator[tuple[float, list[Message]]]:
        """Pieces of messages, each with the time at which it is due, epoch seconds."""


def simulate(
    settings: Settings, simulated: Simulated, stop: threading.Event, *, piece: int = 10_000, paced: bool
) -> Sent:
    """Send all pieces, at once or paced by the times at which they are due; returns the counts.

    Raises:
        BytemeterError: the topic is missing, or Kafka did not take the records.
    """
    kafka = Kafka(settings)
    topic = kafka.topic_name(feed_named(simulated.feed).topic)
    if kafka.describe(topic) is None:
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {topic}; run `bytemeter migrate`")
    send(producer(kafka.librdkafka()), topic, simulated.pieces(piece), paced=paced, stop=stop)
    return simulated.sent
