"""A server goes away and comes back: the queries recover by themselves, and each byte is counted once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bytemeter.errors import TransientError
from bytemeter.feeds import DEVICES, FEEDS
from bytemeter.settings import Settings
from embedded.home import Home
from embedded.stack import EmbeddedStack
from simulator.traffic import Sent
from speed_layer.stream import Streams
from tests.builders import agreement, record

DEADLINE_S = 120

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def streaming(spark: SparkSession, place: Settings) -> Iterator[Future[None]]:
    """Both queries, going on until the test ends."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(Streams(spark, place, list(FEEDS.values()), stop=stop).run)
        yield running
        stop.set()
        running.result()


def wait_until(reached: Callable[[], bool], running: Future[None]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert not running.done(), running.exception()
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)


def wait_until_received(rows: Rows, records: int, running: Future[None]) -> None:
    wait_until(lambda: rows("select coalesce(sum(received), 0)::bigint from ledger") == [(records,)], running)


def test_kafka_and_postgresql_go_away_and_come_back(
    place: Settings,
    simulate: Callable[..., Sent],
    put: Callable[..., None],
    published: Callable[[], list[dict[str, Any]]],
    rows: Rows,
    streaming: Future[None],
    servers: Settings,
    full: bool,
) -> None:
    broker, database = EmbeddedStack(Home(servers.home)).servers
    away = threading.Event()
    put([agreement()], topic="agreements")
    put([record("1", 500)], topic="data-records")
    total = simulate(500).valid_bytes
    wait_until_received(rows, 502, streaming)

    database.stop()
    total += simulate(500, seed=8).valid_bytes
    put([record("2", 300)], topic="data-records")
    away.wait(60 if full else 0)
    database.start()
    wait_until_received(rows, 1_003, streaming)

    broker.stop()
    away.wait(60 if full else 0)
    broker.start()
    total += simulate(500, seed=9).valid_bytes
    put([record("3", 200)], topic="data-records")
    wait_until_received(rows, 1_504, streaming)

    assert rows("select sum(value) from bytes where type like 'app%'") == [(total,)]
    assert rows("select sum(counted), sum(invalid), sum(duplicate) from ledger") == [(1_504, 0, 0)]
    wait_until(lambda: rows("select count(*) from threshold_events where published_at is null") == [(0,)], streaming)
    assert [event["thresholdPercent"] for event in published()] == [50, 80, 100]


def test_a_server_that_was_never_there_is_told_at_once(spark: SparkSession, place: Settings) -> None:
    absent = place.model_copy(update={"kafka": "127.0.0.1:1"})
    with pytest.raises(TransientError, match=r"Kafka at 127\.0\.0\.1:1 cannot be reached"):
        Streams(spark, absent, [DEVICES]).run()
