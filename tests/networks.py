"""What tests do in their place: a database, topics and a history of their own on the run's servers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from confluent_kafka import Producer
from pydantic import SecretStr
from pyspark.sql import SparkSession
from sqlalchemy import Engine, make_url, text

from batch_layer.monthly.job import MonthlyJob, MonthRecomputed
from batch_layer.months import Month
from bytemeter.errors import TransientError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.spark import use_in_this_thread
from speed_layer.stream import Streams
from tests.integration import oracle

_END_S = 60


def as_writer(place: Settings, engine: Engine) -> Settings:
    """A place with a login that is a member of ``bytemeter_writer``, and nothing else."""
    login = "create role jobs_of_tests login password 'secret' in role bytemeter_writer"
    with engine.begin() as connection:
        if not connection.scalar(text("select count(*) from pg_roles where rolname = 'jobs_of_tests'")):
            connection.execute(text(login))
    url = make_url(place.require_database_url()).set(username="jobs_of_tests", password="secret")
    return place.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


def put(place: Settings, values: Iterable[bytes | None], partition: int = 0, topic: str = "devices") -> None:
    """Send messages as they are."""
    to = Producer({"bootstrap.servers": place.kafka, "message.max.bytes": 16 * 2**20})
    for value in values:
        to.produce(place.topic_prefix + topic, value, partition=partition)
    assert to.flush(30) == 0


def is_gone(kafka: Kafka, topic: str) -> bool:
    """Whether a topic is deleted; while it is being deleted it has partitions, and no offsets."""
    try:
        return kafka.describe(topic) is None
    except TransientError:
        return False


@contextmanager
def running(streams: Streams) -> Iterator[Future[None]]:
    """The queries in a thread of their own, going on until the block ends; what they raise is raised then."""
    with ThreadPoolExecutor(1, initializer=partial(use_in_this_thread, streams.session)) as pool:
        run = pool.submit(streams.run)
        try:
            yield run
        finally:
            streams.stop.set()
        run.result(_END_S)


@dataclass
class PlanNetwork:
    """Agreements and data records in a place, sent, counted and recomputed as a writer."""

    place: Settings
    spark: SparkSession
    engine: Engine = field(init=False)
    writer: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.engine = database(self.place.require_database_url())
        self.writer = as_writer(self.place, self.engine)

    def send(self, agreements: Sequence[bytes], records: Sequence[bytes]) -> None:
        """Send agreements and data records, and count what is there."""
        put(self.place, agreements, topic="agreements")
        put(self.place, records, topic="data-records")
        Streams(self.spark, self.writer, [AGREEMENTS, DATA_RECORDS], once=True, history=False).run()

    def monthly(self, month: Month, now: dt.datetime, *, dry_run: bool = False) -> MonthRecomputed:
        """Bring the history of the data records up to date, and run the monthly job."""
        Streams(self.spark, self.writer, [DATA_RECORDS], once=True, live=False).run()
        return MonthlyJob(self.spark, self.writer, month, now, dry_run=dry_run, wait_s=60).run()

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def published(self) -> list[dict[str, Any]]:
        """The messages on threshold-events, in order by their key."""
        return [json.loads(message.value) for message in oracle.received(self.place, "threshold-events")]
