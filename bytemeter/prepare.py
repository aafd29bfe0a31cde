"""Prepares the servers: applies the migrations and creates the topics."""

from __future__ import annotations

from dataclasses import dataclass

from bytemeter.feeds import FEEDS
from bytemeter.kafka import Kafka
from bytemeter.migrations import migrate
from bytemeter.plans.events import TOPIC as THRESHOLD_EVENTS
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings


@dataclass(frozen=True)
class Prepared:
    """The names of the migrations that were applied and of the topics that were created."""

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
        applied = migrate(engine)
    topics = [kafka.topic_name(topic) for topic in (*(feed.topic for feed in FEEDS.values()), THRESHOLD_EVENTS)]
    return Prepared(applied, kafka.create_all(topics))
