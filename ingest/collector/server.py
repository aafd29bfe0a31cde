"""The collector's parts put together, as an application of ``bytemeter.web.server``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from bytemeter.feeds import TAKEN, with_schemas
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.telemetry.schema_files import read_folder
from bytemeter.web.bodies import Bodies
from bytemeter.web.keys import Keys
from bytemeter.web.server import Address, is_loopback
from bytemeter.web.server import serve as serve_application
from ingest.collector.backlog import Backlog
from ingest.collector.clients import CLIENTS, Client
from ingest.collector.collecting import Collecting
from ingest.collector.delivery import Delivery
from ingest.collector.game import secret_words
from ingest.collector.generator import Generator
from ingest.collector.journal import Journal
from ingest.collector.limits import InFlight, Limits
from ingest.collector.metrics import CollectorMetrics
from ingest.collector.routes import Routes


@dataclass(frozen=True)
class Options:
    """What a collector does beside taking events.

    Attributes:
        journal: the folder of the journal; None without one.
        generator: whether clients may have simulated agreements and data records sent.
    """

    journal: Path | None = None
    generator: bool = False


def serve(
    settings: Settings,
    address: Address,
    stop: threading.Event,
    started: Callable[[str], None],
    options: Options = Options(),
) -> None:
    """Serve until ``stop`` is set, then answer what is in flight.

    Args:
        started: called with the URL once the server listens.

    Raises:
        BytemeterError: it cannot listen, the keys or the journal cannot be used, or everybody could send to it.
    """
    address.require_keys()
    keys = Keys(address.keys, CLIENTS) if address.keys else None
    collector = Collector(settings, keys, options, local=is_loopback(address.host))
    serve_application(collector, address, stop, started)


class Collector:
    """The collector as an application."""

    name = "collector"

    def __init__(self, settings: Settings, keys: Keys[Client] | None, options: Options, *, local: bool) -> None:
        """Open the journal, and read a user's schemas.

        Args:
            local: whether only this machine reaches the collector.

        Raises:
            BytemeterError: the journal or a schema cannot be used.
        """
        self._settings, self._keys, self._options, self._local = settings, keys, options, local
        own = read_folder(settings.telemetry_schemas)
        self._feeds = {name: with_schemas(feed, own) for name, feed in TAKEN.items()}
        self._limits = limits = Limits.of(settings)
        self.bodies = Bodies(limits.body_bytes, limits.timeout_s)
        self._journal = Journal(options.journal, limits.journal_bytes) if options.journal else None
        self._routes: Routes | None = None
        self._delivery: Delivery | None = None
        self._backlog: Backlog | None = None

    async def start(self) -> Sequence[BaseRoute]:
        """Connect to Kafka and send what the journal has.

        Raises:
            BytemeterError: Kafka's client refuses its settings.
        """
        kafka, limits = Kafka(self._settings), self._limits
        topics = [kafka.topic_name(feed.topic) for feed in TAKEN.values()]
        delivery = Delivery(kafka, topics, timeout_s=limits.timeout_s, most_messages=limits.events)
        await delivery.start()
        backlog = Backlog(self._journal, delivery) if self._journal else None
        if backlog:
            backlog.start()
        self._delivery, self._backlog = delivery, backlog
        in_flight, metrics = InFlight(limits), CollectorMetrics()
        collecting = Collecting(kafka.topic_name, delivery, backlog)
        secret = secret_words(self._settings.collector_secret_headers)
        generator = Generator(delivery, kafka.topic_name, metrics, most_events=limits.events)
        self._routes = Routes(
            collecting, self.bodies, self._keys, secret, metrics, in_flight,
            generator=generator if self._options.generator else None, local=self._local, feeds=self._feeds,
        )  # fmt: skip
        metrics.show("events_in_flight", "Events of requests that were not answered yet", lambda: in_flight.events)
        metrics.show("kafka_available", "Whether Kafka answers", lambda: float(delivery.available))
        metrics.show("journal_bytes", "Bytes that wait for Kafka", lambda: backlog.size if backlog else 0)
        return self._routes.all()

    async def stop(self) -> None:
        """Keep in the journal what waits, and end."""
        if self._backlog:
            await self._backlog.stop()
        if self._delivery:
            await self._delivery.stop()

    def drain(self) -> None:
        """Say that the collector is about to end."""
        if self._routes:
            self._routes.draining = True
