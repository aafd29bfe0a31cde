"""Places of tests: a database and topics of each test's own, made while the test before runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from bytemeter.feeds import FEEDS
from bytemeter.kafka import Kafka
from bytemeter.plans.events import TOPIC as THRESHOLD_EVENTS
from bytemeter.postgres import database
from bytemeter.settings import Settings, load_settings
from bytemeter.topics import topics


class Places:
    """Makes places on the run's servers.

    To make a database and topics is mostly to wait for the disk: it is done by a thread, ahead of the test that needs
    them. What it could not do, e.g. while a test had stopped a server, is done when it is needed.
    """

    def __init__(self, servers: Settings) -> None:
        self._servers = servers
        self._numbers = itertools.count(1)
        self._thread = ThreadPoolExecutor(1, "places")
        self._topics: dict[str, Future[None]] = {}
        self._next, self._made = self._ahead()

    @contextmanager
    def database(self, history: str) -> Iterator[Settings]:
        """Settings with an empty database and a history; topics of their prefix do not exist, or are empty."""
        name, made = self._next, self._made
        self._next, self._made = self._ahead()
        if made.exception() is not None:
            self._create(name)
        yield self._settings(name, history=history)
        self._thread.submit(self._drop, name)

    def require_topics(self, place: Settings) -> None:
        """Make the topics of a place unless they were made ahead, and the topics of the next place: tests come in kinds."""
        made = self._topics.pop(place.topic_prefix, None)
        following = self._settings(self._next)
        self._topics[following.topic_prefix] = self._thread.submit(self._create_topics, following)
        if made is None or made.exception() is not None:
            self._create_topics(place)

    def close(self) -> None:
        """Wait for what is being made."""
        self._thread.shutdown()

    def _ahead(self) -> tuple[str, Future[None]]:
        name = f"test_{next(self._numbers)}"
        return name, self._thread.submit(self._create, name)

    def _settings(self, name: str, **more: str) -> Settings:
        url = make_url(self._servers.require_database_url()).set(database=name)
        return load_settings(
            home=self._servers.home,
            kafka=self._servers.kafka,
            database_url=url.render_as_string(hide_password=False),
            topic_prefix=f"{name}.",
            history_interval_s=0,
            **more,
        )

    def _create(self, name: str) -> None:
        template = make_url(self._servers.require_database_url()).database
        with self._server().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database if exists {name} with (force)"))
            connection.execute(text(f"create database {name} template {template}"))

    def _drop(self, name: str) -> None:
        with (
            suppress(Exception),
            self._server().connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            connection.execute(text(f"drop database {name} with (force)"))

    def _server(self) -> Engine:
        url = make_url(self._servers.require_database_url()).set(database="postgres")
        return database(url.render_as_string(hide_password=False))

    @staticmethod
    def _create_topics(place: Settings) -> None:
        kafka = Kafka(place)
        names = (*(feed.topic for feed in FEEDS.values()), THRESHOLD_EVENTS)
        kafka.create_all({kafka.topic_name(topic): topics()[topic] for topic in names})
