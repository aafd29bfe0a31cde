"""What several commands do with the endpoints: prepare database and topics, provision, simulate."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from bytemeter import migrations
from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS, feed_named
from bytemeter.kafka import Kafka
from bytemeter.plans.events import TOPIC as THRESHOLD_EVENTS
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from simulator.producer import producer, send
from simulator.traffic import Message, Sent, Traffic


@dataclass(frozen=True)
class Prepared:
    """What was new: migrations and topics, by name."""

    migrations: list[str]
    topics: list[str]


def prepare(settings: Settings) -> Prepared:
    """Apply the migrations and create the missing topics of all feeds.

    Raises:
        TransientError: a server cannot be reached.
        BytemeterError: the database is newer than this version.
    """
    engine, kafka = database(settings.require_database_url()), Kafka(settings)
    with one_line_errors(engine.url):
        applied = migrations.migrate(engine)
    topics = [kafka.topic_name(topic) for topic in (*(feed.topic for feed in FEEDS.values()), THRESHOLD_EVENTS)]
    return Prepared(applied, [topic for topic in topics if kafka.create(topic)])


def provision_users(settings: Settings) -> int:
    """Provision the 20 users; how many were new.

    Raises:
        BytemeterError: the tables are missing or the server cannot be reached.
    """
    engine = database(settings.require_database_url())
    with one_line_errors(engine.url):
        return migrations.provision(engine)


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
