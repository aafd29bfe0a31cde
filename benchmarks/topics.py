"""The topics that the benchmarks read, filled by the simulator."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from bytemeter.feeds import feed_named
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.prepare import prepare
from bytemeter.settings import Settings, load_settings
from embedded.stack import EmbeddedStack
from simulator.agreements import AgreementSimulation
from simulator.billable_events import BillableEventSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.producer import producer, send
from simulator.sending import Simulated
from simulator.traffic import Message, Sent, Traffic

# Messages, and the event time at which the last of them is due.
Piece = tuple[float, list[Message]]

START = 1_763_700_000
SERVICE_START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@dataclass
class Topics:
    """Places on one stack: settings with topics and a history of their own.

    Attributes:
        records: how many records each topic gets, except agreements.
        users: of devices, and how many agreements there are.
    """

    stack: EmbeddedStack
    home: Path
    records: int
    users: int

    def place(self, prefix: str, *, own_database: str | None = None) -> Settings:
        """Settings with this topic prefix; the topics are created.

        Args:
            own_database: a database to create for the place; by default all places share one.
        """
        settings = self.stack.settings(load_settings(home=self.home, topic_prefix=prefix))
        settings = settings.model_copy(update={"history": str(self.home / f"history-{prefix}")})
        if own_database:
            url = make_url(settings.require_database_url())
            with database(settings.require_database_url()).connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(
                    text(f"create database {own_database}")
                )
            own = url.set(database=own_database).render_as_string(hide_password=False)
            settings = settings.model_copy(update={"database_url": SecretStr(own)})
        prepare(settings)
        return settings

    def devices(self, settings: Settings, *, event_ids: bool) -> Sent:
        """Send records of devices: with event ids and 1 % duplicates, or without both."""
        traffic = self.traffic(late=0.01, invalid=0.001, duplicates=0.01 if event_ids else 0.0, event_ids=event_ids)
        return self.fill(settings, DeviceSimulation(traffic), self.records)

    def billable_events(self, settings: Settings) -> None:
        """Send billable events of all users with event ids, 1 % of them duplicates."""
        traffic = self.traffic(late=0.01, invalid=0.001, duplicates=0.01)
        self.fill(settings, BillableEventSimulation(traffic), self.records)

    def agreements(self, settings: Settings) -> None:
        """Send one agreement for each user."""
        self.fill(settings, AgreementSimulation(self.users, 7, SERVICE_START, 0), self.users)

    def data_records(self, settings: Settings) -> None:
        """Send data records of all users, 1 % of them duplicates."""
        traffic = self.traffic(late=0.01, invalid=0.001, duplicates=0.01, skew=0.3)
        self.fill(settings, DataRecordSimulation(traffic), self.records)

    def traffic(self, **changes: float) -> Traffic:
        """Traffic of all records, the users and 500 antennas."""
        return Traffic(
            START, rate=1_000, records=self.records, subscribers=self.users, antennas=500, **changes  # type: ignore[arg-type]
        )  # fmt: skip

    def fill(self, settings: Settings, simulated: Simulated, count: int) -> Sent:
        """Send simulated messages from a process of its own, and print their rate; returns the simulator's counts."""
        with own_process() as process:
            seconds, sent = process.submit(_send_all, settings, simulated).result()
        topic = Kafka(settings).topic_name(feed_named(simulated.feed).topic)
        print(f"simulator, built and sent: {topic:<28}{count / seconds:>12,.0f}/s", flush=True)
        return sent


def own_process() -> ProcessPoolExecutor:
    """An executor with a process of its own, whose memory is not that of the driver."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def seconds_to_send(settings: Settings, topic: str, pieces: Iterable[Piece]) -> float:
    """Send all pieces; returns the seconds until Kafka has acknowledged them.

    Args:
        topic: without the topic prefix.
    """
    kafka = Kafka(settings)
    began = time.perf_counter()
    send(producer(kafka.librdkafka()), kafka.topic_name(topic), pieces)
    return time.perf_counter() - began


def _send_all(settings: Settings, simulated: Simulated) -> tuple[float, Sent]:
    topic = feed_named(simulated.feed).topic
    return seconds_to_send(settings, topic, simulated.pieces()), simulated.sent
