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
from bytemeter.feeds import DEVICES
from bytemeter.settings import Settings
from simulator.traffic import Sent
from speed_layer.stream import Streams
from stack.embedded import EmbeddedStack
from stack.home import Home

DEADLINE_S = 120

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def streaming(spark: SparkSession, place: Settings) -> Iterator[Future[None]]:
    """Both queries, going on until the test ends."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(Streams(spark, place, [DEVICES], stop=stop).run)
        yield running
        stop.set()
        running.result()


def wait_until_received(rows: Rows, records: int, running: Future[None]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while rows("select coalesce(sum(received), 0) from ledger") != [(records,)]:
        assert not running.done(), running.exception()
        assert time.monotonic() < deadline, rows("select * from ledger")
        threading.Event().wait(0.2)


def test_kafka_and_postgresql_go_away_and_come_back(
    place: Settings, simulate: Callable[..., Sent], rows: Rows, streaming: Future[None], servers: Settings
) -> None:
    broker, database = EmbeddedStack(Home(servers.home)).servers
    total = simulate(500).valid_bytes
    wait_until_received(rows, 500, streaming)

    database.stop()
    total += simulate(500, seed=8).valid_bytes
    database.start()
    wait_until_received(rows, 1_000, streaming)

    broker.stop()
    broker.start()
    total += simulate(500, seed=9).valid_bytes
    wait_until_received(rows, 1_500, streaming)

    assert rows("select sum(value) from bytes where type like 'app%'") == [(total,)]
    assert rows("select sum(counted), sum(invalid), sum(duplicate) from ledger") == [(1_500, 0, 0)]


def test_a_server_that_was_never_there_is_told_at_once(spark: SparkSession, place: Settings) -> None:
    absent = place.model_copy(update={"kafka": "127.0.0.1:1"})
    with pytest.raises(TransientError, match=r"Kafka at 127\.0\.0\.1:1 cannot be reached"):
        Streams(spark, absent, [DEVICES]).run()
