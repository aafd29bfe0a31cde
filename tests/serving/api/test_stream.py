"""Threshold events as they come: each once and in order, whoever disconnects, is killed, or commits late."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Engine, text

from bytemeter.plans.events import AMENDED, CLOSED, EXCEEDED, REACHED
from bytemeter.plans.outbox import write
from bytemeter.settings import Settings
from embedded.home import free_port
from tests.apis import process
from tests.builders import utc
from tests.serving.api.conftest import subscriber, threshold_event
from tests.serving.api.test_login import LOGINS

START = utc("2026-11-01")
STREAM = "/v1/threshold-events/stream"
DEADLINE_S = 60


@dataclass(frozen=True)
class Message:
    """A server-sent event."""

    id: int
    type: str
    agreement: str
    ordinal: int


@contextmanager
def following(url: str, last: int | None = None, **filters: str) -> Iterator[Iterator[Message]]:
    """The messages of a connection."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with httpx.stream("GET", f"{url}{STREAM}", headers=headers, params=filters, timeout=DEADLINE_S) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        # It has begun: what is committed from now on is received.
        assert next(lines).startswith("retry:")
        yield _messages(lines)


def _messages(lines: Iterator[str]) -> Iterator[Message]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            shown: dict[str, Any] = json.loads(fields["data"])
            assert shown["position"] == int(fields["id"])
            event = shown["event"]
            # The total of these events is their number.
            yield Message(int(fields["id"]), fields["event"], event["agreementId"], event["totalRecordedBytes"])
            fields = {}
        else:
            fields = {}


def emit(connection: Connection, agreement: str, ordinal: int, type_: str = AMENDED, source: str = "live") -> None:
    event = threshold_event(agreement, START, type_, total=ordinal, at=START, ordinal=ordinal)
    assert write(connection, [event], source=source)


@pytest.fixture
def agreements(engine: Engine) -> list[str]:
    names = [f"a{number}" for number in range(8)]
    with engine.begin() as connection:
        for number, name in enumerate(names):
            subscriber(connection, name, f"4800{number}")
    return names


def test_an_event_that_is_committed_late_is_neither_missed_nor_sent_twice(
    api: httpx.Client, engine: Engine, agreements: list[str]
) -> None:
    url = str(api.base_url)
    with following(url) as messages, engine.connect() as slow:
        with slow.begin():
            # It takes its number before the other one, and commits after it.
            emit(slow, "a0", 1)
            with engine.begin() as quick:
                emit(quick, "a1", 1)
            first = next(messages)
            assert first.agreement == "a1"
        second = next(messages)
        assert (second.agreement, second.id) == ("a0", first.id + 1)
        with engine.begin() as connection:
            emit(connection, "a0", 2)
        third = next(messages)
        assert (third.agreement, third.ordinal) == ("a0", 2)
    with following(url, 0) as again:
        assert [next(again) for _ in range(3)] == [first, second, third]
    with following(url, second.id) as rest:
        assert next(rest) == third


def test_filters_leave_out_other_events_and_the_list_has_the_same(
    api: httpx.Client, engine: Engine, agreements: list[str]
) -> None:
    with engine.begin() as connection:
        for number, name in enumerate(agreements):
            emit(connection, name, 1, CLOSED if number % 2 else AMENDED)
            emit(connection, name, 2)
    with following(str(api.base_url), 0, msisdn="48003") as messages:
        assert [(one.agreement, one.type) for one in (next(messages), next(messages))] == [
            ("a3", CLOSED),
            ("a3", AMENDED),
        ]
        with engine.begin() as connection:
            emit(connection, "a4", 3)
            emit(connection, "a3", 3)
        assert next(messages).ordinal == 3

    def listed(**parameters: Any) -> list[tuple[str, int]]:
        rows, cursor = [], {}
        while True:
            answer = api.get("/v1/threshold-events", params={**parameters, **cursor}).json()
            rows += [(row["event"]["agreementId"], row["event"]["totalRecordedBytes"]) for row in answer["rows"]]
            if answer["next"] is None:
                return rows
            cursor = {"cursor": answer["next"]}

    assert listed(limit=3) == listed()
    assert len(listed()) == 18
    assert listed(msisdn="48003") == [("a3", 1), ("a3", 2), ("a3", 3)]
    assert listed(type=CLOSED, limit=1) == [("a1", 1), ("a3", 1), ("a5", 1), ("a7", 1)]
    assert listed(agreement="a4") == [("a4", 1), ("a4", 2), ("a4", 3)]
    assert listed(**{"from": "2100-01-01"}) == []
    assert api.get("/v1/threshold-events", params={"type": "OTHER"}).json()["name"] == "type"


@pytest.mark.parametrize("last", ["x", "-1", "1e3", "9" * 30, "1"])
def test_an_id_that_no_event_has_had_is_refused(api: httpx.Client, last: str) -> None:
    answer = api.get(STREAM, headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["name"]) == (400, "Last-Event-ID")


class Writers:
    """Transactions of both sources that write events, hold them for a while, and commit or roll back."""

    def __init__(self, engine: Engine, agreements: list[str], seed: int) -> None:
        self._engine, self._agreements, self._seed = engine, agreements, seed
        self._stop = threading.Event()
        self.written = 0

    def run(self, number: int) -> None:
        """Write events of a share of the agreements, as each agreement is counted by one process."""
        chance, own = random.Random(self._seed + number), self._agreements[number::4]
        ordinals = dict.fromkeys(own, 0)
        while not self._stop.is_set():
            chosen = chance.sample(own, k=chance.randint(1, len(own)))
            with self._engine.connect() as connection, connection.begin() as transaction:
                for name in chosen:
                    emit(connection, name, ordinals[name] + 1, source="batch" if number % 2 else "live")
                self._stop.wait(chance.random() * 0.05)
                if chance.random() < 0.2:
                    transaction.rollback()
                    continue
            for name in chosen:
                ordinals[name] += 1

    def stop(self) -> None:
        self._stop.set()


def test_a_client_that_comes_and_goes_gets_each_event_once_and_in_order_while_the_api_is_killed(
    stored: Settings, engine: Engine, agreements: list[str], seed: int
) -> None:
    chance, port = random.Random(seed), free_port()
    writers = Writers(engine, agreements, seed)
    received: list[Message] = []
    kills = disconnects = 0
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(writers.run, number) for number in range(4)]
        try:
            for life in range(3):
                with process(stored, port) as (running, url):
                    end = time.monotonic() + 1.5
                    while time.monotonic() < end:
                        last = received[-1].id if received else 0
                        disconnects += 1
                        with following(url, last) as messages:
                            for _ in range(chance.randint(1, 40)):
                                received.append(next(messages))
                    if life < 2:
                        # In the middle of a connection.
                        with following(url, received[-1].id) as messages:
                            received.append(next(messages))
                            running.kill()
                            kills += 1
                            with pytest.raises(httpx.HTTPError):
                                received.extend(messages)
                    else:
                        writers.stop()
                        for run in writing:
                            run.result()
                        with engine.connect() as connection:
                            count = connection.scalar(text("select count(*) from threshold_events"))
                        while missing := (count or 0) - len(received):
                            with following(url, received[-1].id) as messages:
                                received.extend(islice(messages, min(missing, chance.randint(1, 200))))
        finally:
            writers.stop()
    with engine.connect() as connection:
        rows = connection.execute(
            text("select position, agreement_id, total_recorded_bytes from threshold_events order by 1")
        )
        stored = [tuple(row) for row in rows]
    assert [(one.id, one.agreement, one.ordinal) for one in received] == stored
    for name in agreements:
        ordinals = [one.ordinal for one in received if one.agreement == name]
        assert ordinals == list(range(1, len(ordinals) + 1))
    assert (kills, disconnects > 5, len(received) > 100) == (2, True, True)


def test_cloud_events_have_the_types_of_camara_and_leave_out_others(
    api: httpx.Client, engine: Engine, agreements: list[str]
) -> None:
    with engine.begin() as connection:
        crossings = [(REACHED, 50), (REACHED, 80), (CLOSED, None), (REACHED, 90), (EXCEEDED, 100)]
        write(
            connection,
            [threshold_event("a0", START, type_, percent=percent, at=START) for type_, percent in crossings],
            source="live",
        )
    headers = {"Last-Event-ID": "0"}
    found: list[dict[str, Any]] = []
    with api.stream("GET", STREAM, params={"format": "cloudevents"}, headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == 3:
                break
    prefix = "org.camaraproject.device-data-volume-subscriptions.v0."
    assert [one["type"].removeprefix(prefix) for one in found] == [
        "data-50-percent",
        "data-90-percent",
        "data-exceeded",
    ]
    assert {one["data"]["device"]["phoneNumber"] for one in found} == {"+48000"}
    assert {one["specversion"] for one in found} == {"1.0"}


def test_a_signal_ends_streams_and_process_and_drops_the_login(
    stored: Settings, engine: Engine, agreements: list[str]
) -> None:
    with process(stored) as (running, url):
        with following(url) as messages:
            with engine.connect() as connection:
                logins = set(connection.scalars(LOGINS))
            running.terminate()
            # The connection ends as one that is over, not as one that broke.
            assert list(messages) == []
        assert running.wait(DEADLINE_S) == 0
    with engine.connect() as connection:
        assert len(logins - set(connection.scalars(LOGINS))) == 1
