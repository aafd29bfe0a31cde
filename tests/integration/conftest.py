"""What the integration tests share: sending, streaming and recomputing in the test's place."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from pyspark.sql import SparkSession
from sqlalchemy import Engine

from batch_layer.hourly.job import HourlyJob
from batch_layer.hourly.store import Recomputed
from batch_layer.monthly.job import MonthlyJob, MonthRecomputed
from batch_layer.months import Month
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Feed
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from simulator.agreements import AgreementSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.producer import producer, send
from simulator.traffic import Sent, Traffic, start_time
from speed_layer.stream import Streams
from tests import networks
from tests.integration import oracle
from tests.seeds import SEED


@pytest.fixture
def as_writer(place: Settings, engine: Engine) -> Settings:
    """The test's place with a login that is a member of ``bytemeter_writer``, and nothing else: jobs run with it."""
    return networks.as_writer(place, engine)


@pytest.fixture
def simulate(place: Settings) -> Callable[..., Sent]:
    """Send simulated records that end about now."""

    def sent(records: int, **shares: float) -> Sent:
        kafka = Kafka(place)
        rate = records / 6_000
        start = start_time(None, records=records, rate=rate)
        options: dict[str, Any] = {"seed": SEED, **shares}
        traffic = DeviceSimulation(Traffic(start=start, rate=rate, records=records, **options))
        send(producer(kafka.librdkafka()), kafka.topic_name("devices"), traffic.pieces())
        return traffic.sent

    return sent


@pytest.fixture
def simulate_plans(place: Settings) -> Callable[..., None]:
    """Send agreements, a tenth of them late, and data records of a day on which no billing period ends."""

    def sent(subscribers: int, records: int) -> None:
        kafka = Kafka(place)
        to = producer(kafka.librdkafka())
        start = start_time("2026-11-08T12:00:00", records=None, rate=1)
        service_start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        agreements = AgreementSimulation(subscribers, SEED, service_start, start, late=0.1)
        traffic = Traffic(
            start, seed=SEED, rate=records / 6_000, records=records, subscribers=subscribers,
            late=0.02, duplicates=0.02, invalid=0.02,
        )  # fmt: skip
        early, *late = agreements.pieces(subscribers)
        send(to, kafka.topic_name("agreements"), [early])
        send(to, kafka.topic_name("data-records"), DataRecordSimulation(traffic).pieces())
        send(to, kafka.topic_name("agreements"), late)

    return sent


@pytest.fixture
def put(place: Settings) -> Callable[..., None]:
    """Send messages as they are, to partition 0 unless told."""
    return partial(networks.put, place)


@pytest.fixture
def stream(spark: SparkSession, as_writer: Settings) -> Callable[..., None]:
    """Run the queries over what is there."""

    def once(*feeds: Feed, settings: Settings = as_writer, live: bool = True, history: bool = True) -> None:
        Streams(spark, settings, feeds or [DEVICES], once=True, live=live, history=history).run()

    return once


@pytest.fixture
def hourly_job(spark: SparkSession, as_writer: Settings) -> Callable[..., HourlyJob]:
    """Make the hourly job of a feed."""
    return partial(HourlyJob, spark, as_writer, wait_s=60)


@pytest.fixture
def monthly_job(spark: SparkSession, as_writer: Settings) -> Callable[..., MonthlyJob]:
    """Make the monthly job of a month, as of an instant."""
    return partial(MonthlyJob, spark, as_writer, wait_s=60)


@pytest.fixture
def recompute(hourly_job: Callable[..., HourlyJob]) -> Callable[..., Recomputed]:
    """Run the hourly job, over all dirty hours unless told."""

    def run(hours: Iterable[dt.datetime] | None = None, *, dry_run: bool = False, wait_s: float = 60) -> Recomputed:
        return hourly_job(DEVICES, dry_run=dry_run, wait_s=wait_s).run(hours)

    return run


@pytest.fixture
def monthly(monthly_job: Callable[..., MonthlyJob], stream: Callable[..., None]) -> Callable[..., MonthRecomputed]:
    """Bring the history of the data records up to date, and run the monthly job."""

    def run(month: Month, now: dt.datetime, *, dry_run: bool = False) -> MonthRecomputed:
        stream(DATA_RECORDS, live=False)
        return monthly_job(month, now, dry_run=dry_run).run()

    return run


@pytest.fixture
def send_plans(put: Callable[..., None], stream: Callable[..., None], as_writer: Settings) -> Callable[..., None]:
    """Send agreements and data records, and count what is there."""

    def sent(agreements: list[bytes], records: list[bytes], *, settings: Settings = as_writer) -> None:
        put(agreements, topic="agreements")
        put(records, topic="data-records")
        stream(AGREEMENTS, DATA_RECORDS, settings=settings, history=False)

    return sent


@pytest.fixture
def published(place: Settings) -> Callable[[], list[dict[str, Any]]]:
    """The messages on threshold-events, in order by their key."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(message.value) for message in oracle.received(place, "threshold-events")]

    return read
