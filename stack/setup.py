"""What several commands do with the endpoints: prepare database and topics, provision, simulate."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from bytemeter import migrations
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES, FEEDS
from bytemeter.kafka import Kafka
from bytemeter.plans.events import TOPIC as THRESHOLD_EVENTS
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from simulator.devices import DeviceTraffic
from simulator.producer import producer, send
from simulator.traffic import Sent, Traffic


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
        applied = migrations.migrate(engine, FEEDS.values())
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


def simulate_feed(settings: Settings, traffic: Traffic, stop: threading.Event) -> Sent:
    """Send the traffic of devices: a number of records at once, or without end at the pace of its event times.

    Raises:
        BytemeterError: the topic is missing, or Kafka did not take the records.
    """
    kafka = Kafka(settings)
    topic = kafka.topic_name(DEVICES.topic)
    if kafka.describe(topic) is None:
        raise BytemeterError(f"Kafka at {kafka.servers} has no topic {topic}; run `bytemeter migrate`")
    devices = DeviceTraffic(traffic)
    paced = traffic.records is None
    pieces = devices.pieces(max(1, round(traffic.rate / 10)) if paced else 10_000)
    send(producer(kafka.librdkafka()), topic, pieces, paced=paced, stop=stop)
    return devices.sent
