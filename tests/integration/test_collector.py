"""Collector and Kafka are killed under load: what was accepted is counted once, whatever clients repeat."""

from __future__ import annotations

import datetime as dt
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from batch_layer.hourly.job import HourlyJob
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, GAME_EVENTS
from bytemeter.settings import Settings
from embedded.broker import Broker
from embedded.home import Home
from embedded.stack import EmbeddedStack
from tests.collectors import process, serving
from tests.integration import oracle, plan_oracle
from tests.messages import device
from tests.seeds import SEED
from tests.servers import DEADLINE_S

Rows = Callable[..., list[tuple[Any, ...]]]
CLIENTS, EVENTS = 4, 50
AWAY_S = 60


# The command, which kills itself when Kafka has acknowledged events that got their ids here, before it answers.
KILLED = """
import json, os, signal, sys
from cli.main import main
from ingest.collector.delivery import Delivery

deliver = Delivery.deliver

async def delivered(self, to, messages):
    arrived = await deliver(self, to, messages)
    if len(json.loads(messages[0]["value"])["event_id"]) == 36:
        os.kill(os.getpid(), signal.SIGKILL)
    return arrived

Delivery.deliver = delivered
sys.exit(main())
"""


@dataclass
class Clients:
    """Clients that send batch after batch to one URL, each until all of it is accepted.

    Attributes:
        accepted: bytes by event id, of all events that were answered as accepted.
        unanswered: how many requests had no answer, or one that asked to repeat them.
        stop: set to let each end its batch.
    """

    url: str
    accepted: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        """Be one of the clients; each has an antenna of its own."""
        with httpx.Client(base_url=self.url, timeout=DEADLINE_S) as client:
            batch = 0
            while not self.stop.is_set():
                events = [self._event(number, batch, n) for n in range(EVENTS)]
                self._send(client, events, f"{number}-{batch}")
                batch += 1
                # Enough is in flight at any moment; more would only be more to count.
                self.stop.wait(0.05)

    def _event(self, number: int, batch: int, n: int) -> bytes:
        # Odd batches leave the ids to the collector.
        id_ = None if batch % 2 else f"{number}-{batch}-{n}"
        return device(timestamp=int(time.time()), bytes=n + 1, antenna_id=f"antenna-{number}", event_id=id_)

    def _send(self, client: httpx.Client, events: list[bytes], key: str) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                answer = client.post("/v1/events/devices", content=b"[" + b",".join(events) + b"]", headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                for event, result in zip(events, answer.json()["results"], strict=True):
                    self.accepted[result["eventId"]] = json.loads(event)["bytes"]
                return
            assert answer is None or answer.status_code in (207, 503), answer.text
            assert time.monotonic() < deadline
            self.unanswered += 1
            threading.Event().wait(0.1)


@pytest.fixture
def port() -> int:
    """A free port, on which collectors follow each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def clients(port: int) -> Iterator[Clients]:
    """Clients that are sending."""
    sending = Clients(f"http://127.0.0.1:{port}")
    with ThreadPoolExecutor(CLIENTS) as pool:
        runs: list[Future[None]] = [pool.submit(sending.run, number) for number in range(CLIENTS)]
        yield sending
        sending.stop.set()
    assert [run.exception() for run in runs] == [None] * CLIENTS


def wait_for_more(clients: Clients) -> None:
    """Wait until the clients go on."""
    before, deadline = len(clients.accepted), time.monotonic() + DEADLINE_S
    while len(clients.accepted) < before + 2 * CLIENTS * EVENTS:
        assert time.monotonic() < deadline
        # The clients are threads of this process.
        threading.Event().wait(0.01)


def test_kills_of_the_collector_and_of_kafka_lose_no_accepted_event_and_count_none_twice(
    place: Settings,
    servers: Settings,
    tmp_path: Path,
    port: int,
    clients: Clients,
    stream: Callable[..., None],
    rows: Rows,
    full: bool,
) -> None:
    chance = random.Random(SEED)
    with_journal = ["--journal", str(tmp_path)]
    options = [chance.choice([with_journal, []]) for _ in range(3)]
    if full:
        options = chance.sample([with_journal, []] * 3, 6)
    broker, _ = EmbeddedStack(Home(servers.home)).servers
    quick = place.model_copy(update={"collector_timeout_s": 3})
    moment = threading.Event()
    with ExitStack() as last:
        for kill, of_collector in enumerate(options):
            # From without it takes luck to strike between acknowledgement and answer.
            with process(quick, *of_collector, port=port, code=None if kill else KILLED) as (collector, _):
                if not kill:
                    assert collector.wait(DEADLINE_S) == -signal.SIGKILL
                    continue
                wait_for_more(clients)
                moment.wait(chance.uniform(0, 0.2))
                if kill == 1 and of_collector and not full:
                    # What is accepted from now on is in the journal alone.
                    kill_kafka(broker)
                    wait_for_more(clients)
                    collector.kill()
                    broker.start()
                    continue
                if full or kill == 1:
                    killed_and_started(broker, clients if of_collector and full else None)
                    wait_for_more(clients)
                    moment.wait(chance.uniform(0, 0.2))
                collector.kill()
        # What waits in the journal is sent by the next collector that has it.
        last.enter_context(process(quick, *with_journal, port=port))
        wait_for_more(clients)
        clients.stop.set()
        drained(f"http://127.0.0.1:{port}")
    assert clients.unanswered > 0, "no kill struck a request"
    stream(DEVICES, history=False)
    # All that was sent was accepted in the end.
    assert in_topic(place) == clients.accepted
    counted = rows("select sum(counted), sum(invalid) from ledger where feed = 'devices'")
    assert counted == [(len(clients.accepted), 0)]
    total = rows("select sum(value) from bytes where type = 'antenna_bytes_total'")
    assert total == [(sum(clients.accepted.values()),)]


def kill_kafka(broker: Broker) -> None:
    kafka = broker.daemon.process()
    assert kafka is not None
    kafka.kill()
    kafka.wait()


def killed_and_started(broker: Broker, meanwhile: Clients | None) -> None:
    """Kill Kafka and start it again: at once, or after a minute in which clients go on."""
    kill_kafka(broker)
    if meanwhile:
        again = time.monotonic() + AWAY_S
        while time.monotonic() < again:
            wait_for_more(meanwhile)
    broker.start()


def drained(url: str) -> None:
    """Wait until nothing waits in the collector."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        metrics = httpx.get(f"{url}/metrics").text
        if "journal_bytes 0.0" in metrics and "events_in_flight 0.0" in metrics:
            return
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def in_topic(place: Settings) -> dict[str, int]:
    """Bytes by event id."""
    events = [json.loads(message.value) for message in oracle.received(place)]
    return {event["event_id"]: event["bytes"] for event in events}


def test_the_generator_s_records_use_up_the_data_plans_of_its_agreements(
    place: Settings, stream: Callable[..., None], rows: Rows
) -> None:
    with serving(place, generator=True) as url, httpx.Client(base_url=url, timeout=DEADLINE_S) as seed:
        # As the case study calls it.
        answers = [seed.get(f"/api/{what}/generate").json() for what in ("agreements", "incoming-data-records")]
        metrics = seed.get("/metrics").text
    of_seed = {"subscribers": 20, "seed": 7, "month": f"{dt.datetime.now(dt.UTC):%Y-%m}"}
    assert answers == [
        {"feed": "agreements", "sent": 20, "acknowledged": 20, **of_seed},
        {"feed": "data-records", "sent": 10_000, "acknowledged": 10_000, **of_seed},
    ]
    assert 'events_total{feed="data-records",status="accepted"} 10000.0' in metrics
    stream(AGREEMENTS, DATA_RECORDS, history=False)
    assert account_of(rows, "data-records") == (10_000, 10_000, 0, 0)
    assert account_of(rows, "agreements") == (20, 20, 0, 0)
    truth = plan_oracle.truth(place)
    assert totals_of_plans(rows) == truth.totals
    emitted = rows("select event_id::text, type from threshold_events where threshold_percent is not null")
    assert {event_id for event_id, _ in emitted} == truth.thresholds
    assert {"DATA_PLAN_EXCEEDED", "DATA_PLAN_THRESHOLD_REACHED"} == {type_ for _, type_ in emitted}


def test_the_generator_s_agreements_of_a_past_month_hold_in_it_also_for_subscribers_that_have_others(
    place: Settings, stream: Callable[..., None], rows: Rows
) -> None:
    past = {"month": "2020-01", "subscribers": 30, "seed": 9}
    with serving(place, generator=True) as url, httpx.Client(base_url=url, timeout=DEADLINE_S) as seed:
        assert seed.post("/api/agreements/generate").json()["acknowledged"] == 20
        assert seed.post("/api/agreements/generate", params=past).json()["acknowledged"] == 30
        # Records are of the latest agreements.
        records = seed.post("/api/incoming-data-records/generate", params={"records": 2_000}).json()
    assert records == {"feed": "data-records", "sent": 2_000, "acknowledged": 2_000, **past}
    stream(AGREEMENTS, DATA_RECORDS, history=False)
    assert account_of(rows, "data-records") == (2_000, 2_000, 0, 0)
    truth = plan_oracle.truth(place)
    assert totals_of_plans(rows) == truth.totals
    assert (2020, 1) in {(year, month) for _, year, month in truth.totals}


def account_of(rows: Rows, feed: str) -> tuple[Any, ...]:
    """Messages of a feed: received, counted, invalid, and without an owner."""
    account = "select sum(received), sum(counted), sum(invalid), sum(unmatched) from ledger where feed = :feed"
    return rows(account, feed=feed)[0]


def totals_of_plans(rows: Rows) -> dict[tuple[str, int, int], int]:
    """Bytes by agreement, year and month."""
    totals = (
        "select agreement_id, year, month, total_recorded_bytes from data_plan_usage where total_recorded_bytes > 0"
    )
    return {(id_, year, month): total for id_, year, month, total in rows(totals)}


def test_game_events_are_counted_by_type_live_and_hourly(
    place: Settings, as_writer: Settings, engine: Engine, stream: Callable[..., None], spark: Any, rows: Rows
) -> None:
    with serving(place) as url, httpx.Client(base_url=url) as player:
        for path in ("/", "/purchase_a_sword", "/", "/join_guild"):
            assert player.get(path, headers={"X-Long": "x" * 2_000}).status_code == 200
        assert player.post("/v1/events/game-events", json={"event_type": "level"}).json()["results"] == [
            {"status": "invalid", "reason": "missing timestamp", "field": "timestamp"}
        ]
    stream(GAME_EVENTS)
    expected = [("default", 2), ("join_guild", 1), ("purchase_sword", 1)]
    of_feed = "where feed = 'game-events' and dimension = 'event_type' group by 1 order by 1"
    assert rows(f"select id, sum(value) from event_counts {of_feed}") == expected
    assert rows(f"select id, sum(value) from events_hourly {of_feed}") == expected
    assert {source for (source,) in rows("select source from events_hourly")} == {"live"}
    HourlyJob(spark, as_writer, GAME_EVENTS, wait_s=60).run()
    assert rows(f"select id, sum(value) from event_counts_hourly {of_feed}") == expected
    assert rows(f"select id, sum(value) from events_hourly {of_feed}") == expected
    assert {source for (source,) in rows("select source from events_hourly")} == {"batch"}
