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
    """How a traffic is sent: a number of records at once; without end ten times a second at the rate."""
    paced = traffic.records is None
    return {"paced": paced, "piece": max(1, round(traffic.rate / 10)) if paced else 10_000}


class Simulated(Protocol):
    """What can be sent to a feed's topic."""

    feed: ClassVar[str]
    sent: Sent

    def pieces(self, size: int = ...) -> Iterator[tuple[float, list[Message]]]:
        """Messages in pieces, each with the time at which it is due."""


def simulate(
    settings: Settings, simulated: Simulated, stop: threading.Event, *, piece: int = 10_000, paced: bool
) -> Sent:
    """Send what is simulated: at once, or paced by the times at which the pieces are due.

    Raises:
        BytemeterError: the topic is missing, or Kafka did not take the records.
    """
    kafka = Kafka(settings)
    topic = kafka.topic_name(feed_named(simulated.feed).topic)
    if kafka.describe(topic) is None:
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {topic}; run `bytemeter migrate`")
    send(producer(kafka.librdkafka()), topic, simulated.pieces(piece), paced=paced, stop=stop)
    return simulated.sent
