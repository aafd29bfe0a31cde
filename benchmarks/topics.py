"""The topics that the benchmarks read, filled once."""

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

from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.prepare import prepare
from bytemeter.settings import Settings, load_settings
from embedded.stack import EmbeddedStack
from simulator.agreements import AgreementSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.producer import producer, send
from simulator.simulation import Simulation
from simulator.traffic import Message, Traffic

# An event time, and the messages that are sent then.
Piece = tuple[float, list[Message]]

START = 1_763_700_000
SERVICE_START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@dataclass
class Topics:
    """Places on one stack, each with topics of its own: for the same number of records of the same number of users."""

    stack: EmbeddedStack
    home: Path
    records: int
    users: int

    def place(self, prefix: str, *, own_database: str | None = None) -> Settings:
        """Settings with this prefix of topics, which are made, and with a new database of this name if one is given."""
        settings = self.stack.settings(
            load_settings(home=self.home, topic_prefix=prefix, history=str(self.home / prefix))
        ).model_copy(update={"history": str(self.home / f"history-{prefix}")})
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

    def devices(self, settings: Settings, *, event_ids: bool) -> None:
        """Records of devices, with event ids and repeats, or without either."""
        traffic = self.traffic(late=0.01, invalid=0.001, duplicates=0.01 if event_ids else 0.0, event_ids=event_ids)
        self._fill(settings, DeviceSimulation(traffic), self.records)

    def agreements(self, settings: Settings) -> None:
        """One agreement for each user."""
        self._fill(settings, AgreementSimulation(self.users, 7, SERVICE_START, 0), self.users)

    def data_records(self, settings: Settings) -> None:
        """Data records of all users, 1 % of them repeated."""
        traffic = self.traffic(late=0.01, invalid=0.001, duplicates=0.01, skew=0.3)
        self._fill(settings, DataRecordSimulation(traffic), self.records)

    def traffic(self, **changes: float) -> Traffic:
        """So many records of so many users and 500 antennas."""
        return Traffic(
            START, rate=1_000, records=self.records, subscribers=self.users, antennas=500, **changes  # type: ignore[arg-type]
        )  # fmt: skip

    def _fill(self, settings: Settings, simulation: Simulation | AgreementSimulation, count: int) -> None:
        with apart() as process:
            rate = count / process.submit(_send_all, settings, simulation).result()
        print(f"simulator, built and sent: {settings.topic_prefix + simulation.feed:<24}{rate:>12,.0f}/s", flush=True)


def apart() -> ProcessPoolExecutor:
    """A process of its own, so that the memory that something takes is not measured."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def seconds_to_send(settings: Settings, topic: str, pieces: Iterable[Piece]) -> float:
    """Send all pieces to a topic of the settings; how long that took, until the broker has acknowledged them."""
    kafka = Kafka(settings)
    began = time.perf_counter()
    send(producer(kafka.librdkafka()), kafka.topic_name(topic), pieces)
    return time.perf_counter() - began


def _send_all(settings: Settings, simulation: Simulation | AgreementSimulation) -> float:
    return seconds_to_send(settings, simulation.feed, simulation.pieces())
