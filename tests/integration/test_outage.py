"""A server goes away and comes back: the queries recover by themselves, and each byte is counted once."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import DEVICES, FEEDS, TAKEN
from bytemeter.settings import Settings
from bytemeter.telemetry import topics
from embedded.home import Home
from embedded.stack import EmbeddedStack
from simulator.traffic import Sent
from speed_layer.stream import Streams
from tests.builders import agreement, record
from tests.messages import device
from tests.networks import running
from tests.telemetry import create_topics, routed
from tests.telemetry_events import event

DEADLINE_S = 240

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def streaming(spark: SparkSession, place: Settings) -> Iterator[Future[None]]:
    """All queries, going on until the test ends."""
    with running(Streams(spark, place, list(FEEDS.values()))) as run:
        yield run


def wait_until(reached: Callable[[], bool], running: Future[None]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert not running.done(), running.exception()
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)


# What telemetry's live queries write for each other is received whenever it is sent.
SENT = f"from ledger where feed in ({', '.join(repr(feed) for feed in TAKEN)})"


def wait_until_received(rows: Rows, records: int, running: Future[None]) -> None:
    wait_until(lambda: rows(f"select coalesce(sum(received), 0)::bigint {SENT}") == [(records,)], running)


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
    create_topics(place)
    put([agreement()], topic="agreements")
    put([record("1", 500)], topic="data-records")
    put([event("START", "t1")], topic=topics.RAW)
    total = simulate(500).valid_bytes
    wait_until_received(rows, 503, streaming)

    # With records in flight: nobody waits until these are counted.
    total += simulate(500, seed=8).valid_bytes
    put([record("2", 300)], topic="data-records")
    put([event("START", "t2")], topic=topics.RAW)
    database.stop()
    away.wait(60 if full else 0)
    database.start()
    wait_until_received(rows, 1_005, streaming)

    total += simulate(500, seed=9).valid_bytes
    put([event("START", "t3")], topic=topics.RAW)
    broker.stop()
    away.wait(60 if full else 0)
    broker.start()
    put([record("3", 200)], topic="data-records")
    put([event("START", "t4")], topic=topics.RAW)
    wait_until_received(rows, 1_508, streaming)

    assert rows("select sum(value) from bytes where type like 'app%'") == [(total,)]
    assert rows(f"select sum(counted), sum(invalid), sum(duplicate) {SENT}") == [(1_508, 0, 0)]
    wait_until(lambda: rows("select count(*) from threshold_events where published_at is null") == [(0,)], streaming)
    assert [event["thresholdPercent"] for event in published()] == [50, 80, 100]
    unique = "select sum(received), sum(counted) from ledger where feed = 'telemetry-unique'"
    wait_until(lambda: rows(unique) == [(4, 4)], streaming)
    wait_until(lambda: rows("select sum(waiting) from routing_status") == [(0,)], streaming)
    assert sorted(message.document["mid"] for message in routed(place, topics.UNIQUE)) == ["t1", "t2", "t3", "t4"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own with 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system: run the tests as root, in a container with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_of_the_history_delays_the_history_only(
    spark: SparkSession, place: Settings, small_disk: Path, simulate: Callable[..., Sent], rows: Rows
) -> None:
    settings = place.model_copy(update={"history": str(small_disk / "history")})
    with running(Streams(spark, settings, [DEVICES])) as streaming:
        simulate(100)
        wait_until_received(rows, 100, streaming)
        wait_until(lambda: kept(settings) == 100, streaming)
        filling = small_disk / "filling"
        with suppress(OSError), filling.open("wb") as file:
            file.write(bytes(1_000_000))
        for seed in range(3):
            simulate(100, seed=seed)
            wait_until_received(rows, 200 + 100 * seed, streaming)
        assert kept(settings) == 100
        filling.unlink()
        wait_until(lambda: kept(settings) == 400, streaming)


def kept(settings: Settings) -> int:
    """How many records the history of devices has."""
    table = DeltaTable(f"{settings.require_history()}/devices")
    return table.to_pyarrow_table(columns=["offset"]).num_rows


def test_a_corrupt_batch_ends_the_queries(
    spark: SparkSession, place: Settings, servers: Settings, put: Callable[..., None], rows: Rows
) -> None:
    put([device(), device()], partition=0)
    put([device(app="DAMAGED")], partition=1)
    broker, _ = EmbeddedStack(Home(servers.home)).servers
    broker.stop()
    (log,) = broker.folder.glob(f"data/{place.topic_prefix}devices-1/*.log")
    log.write_bytes(log.read_bytes().replace(b"DAMAGED", b"damaged"))
    broker.start()
    with pytest.raises(
        BytemeterError, match="^the query live-devices cannot read Kafka: .* Record is corrupt .* restore"
    ) as caught:
        Streams(spark, place, [DEVICES], history=False).run()
    assert not isinstance(caught.value, TransientError)
    assert "\n" not in str(caught.value)


def test_a_server_that_was_never_there_is_told_at_once(spark: SparkSession, place: Settings) -> None:
    absent = place.model_copy(update={"kafka": "127.0.0.1:1"})
    with pytest.raises(TransientError, match=r"Kafka at 127\.0\.0\.1:1 cannot be reached"):
        Streams(spark, absent, [DEVICES]).run()
