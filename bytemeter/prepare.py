"""Prepares the servers: applies the migrations and creates the topics."""

from __future__ import annotations

from dataclasses import dataclass

from bytemeter.kafka import Kafka
from bytemeter.migrations import migrate
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from bytemeter.topics import topics


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
    return Prepared(
        applied, kafka.create_all({kafka.topic_name(topic): most_bytes for topic, most_bytes in topics().items()})
    )
