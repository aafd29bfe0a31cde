"""A collector before a real Kafka: what is answered as accepted is in the topic."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from bytemeter.feeds import FEEDS
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from embedded.home import Home
from embedded.stack import EmbeddedStack
from tests.collectors import process, serving
from tests.integration import oracle
from tests.messages import data_record, device
from tests.networks import is_gone
from tests.servers import DEADLINE_S

ACTIONS = ["/", "/purchase_a_sword", "/", "/join_guild", "/join_guild", "/purchase_a_knife", "/purchase_a_knife", "/purchase_a_sword"]  # fmt: skip


def now_device(**changes: Any) -> bytes:
    return device(timestamp=int(time.time()), **changes)


def array(*events: bytes) -> bytes:
    return b"[" + b",".join(events) + b"]"


def post(url: str, body: bytes, feed: str = "devices") -> httpx.Response:
    return httpx.post(
        f"{url}/v1/events/{feed}", content=body, headers={"Content-Type": "application/json"}, timeout=DEADLINE_S
    )


def test_accepted_events_are_in_the_topic_as_sent_with_the_feeds_key(place: Settings) -> None:
    records = [data_record(id=f"r{n}", msisdn=str(n % 7)) for n in range(2_500)]
    with serving(place) as url:
        answer = post(url, array(*records, b'{"id":1}'), "data-records")
        assert answer.json()["results"][-1] == {
            "status": "invalid",
            "reason": "id is not a text",
            "field": "id",
            "value": "1",
        }
        assert [result.get("eventId") for result in answer.json()["results"][:-1]] == [f"r{n}" for n in range(2_500)]
        # Fewer events, one that gets its id, and none.
        named = post(url, now_device()).json()["results"][0]
        assert post(url, array()).json() == {"accepted": 0, "results": []}
    messages = oracle.received(place, "data-records")
    assert sorted(message.value for message in messages) == sorted(records)
    assert all(message.key == json.loads(message.value)["msisdn"].encode() for message in messages)
    of_one = [message.value for message in messages if message.key == b"3"]
    assert of_one == [record for record in records if b'"msisdn": "3"' in record]
    (stored,) = oracle.received(place, "devices")
    assert json.loads(stored.value)["event_id"] == named["eventId"]


def test_the_game_s_session_gives_its_texts_and_its_messages_in_their_order(place: Settings) -> None:
    secrets = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Session-Token": "t"}
    with serving(place) as url:
        with httpx.Client(base_url=url, headers={"User-Agent": "ünïcode 1".encode("latin-1"), **secrets}) as player:
            texts = [player.get(path).text for path in ACTIONS]
            assert player.head("/join_guild").status_code == 200
    assert texts[:4] == [
        "\nThis is the default response!\n", "\nSword Purchased!\n", "\nThis is the default response!\n", "\nGuild Joined!\n",
    ]  # fmt: skip
    assert texts[5] == "\nKnife Purchased!\n"
    events = [json.loads(line) for line in kcat(place, "game-events").splitlines()]
    assert [event["event_type"] for event in events] == [
        "default", "purchase_sword", "default", "join_guild", "join_guild", "purchase_knife", "purchase_knife",
        "purchase_sword",
    ]  # fmt: skip
    assert events[0]["User-Agent"] == "ünïcode 1"
    assert events[0]["Host"] == url.removeprefix("http://")
    assert not {"Authorization", "Cookie", "X-Session-Token"} & set(events[0])
    assert len({event["event_id"] for event in events}) == 8


def kcat(place: Settings, feed: str) -> str:
    """A topic as kcat reads it."""
    if shutil.which("kcat") is None:
        pytest.skip("needs kcat (apt install kcat)")
    command = ["kcat", "-q", "-C", "-b", str(place.kafka), "-t", place.topic_prefix + feed, "-o", "beginning", "-e"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout


def test_what_is_in_flight_is_answered_before_the_process_ends(place: Settings) -> None:
    body = array(*(now_device() for _ in range(5_000)))
    with process(place) as (collector, url), ThreadPoolExecutor(4) as pool:
        assert httpx.get(f"{url}/ready").status_code == 200
        posting = [pool.submit(post, url, body) for _ in range(4)]
        deadline = time.monotonic() + DEADLINE_S
        while (in_flight := events_in_flight(url)) == 0:
            assert time.monotonic() < deadline
        collector.terminate()
        accepted = sum(accepted_of(one) for one in posting)
        assert collector.wait(DEADLINE_S) == 0
    assert accepted >= in_flight
    assert len(oracle.received(place)) == accepted


def events_in_flight(url: str) -> int:
    """Events of requests that the collector has begun to answer."""
    found = re.search("^bytemeter_collector_events_in_flight ([0-9]+)", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return int(found[1]) if found else 0


def accepted_of(posting: Future[httpx.Response]) -> int:
    """The events that were accepted; none of a request that came too late to be read."""
    try:
        return int(posting.result().json()["accepted"])
    except (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
        return 0


def test_the_generator_serves_one_request_at_a_time_and_says_what_it_sent(place: Settings) -> None:
    def generate(url: str, subscribers: int) -> httpx.Response:
        return httpx.post(f"{url}/api/agreements/generate", params={"subscribers": subscribers}, timeout=DEADLINE_S)

    with serving(place, generator=True) as url, ThreadPoolExecutor(1) as pool:
        running = pool.submit(generate, url, 100_000)
        wait_until(lambda: 'feed="agreements",status="accepted"' in httpx.get(f"{url}/metrics").text)
        refused = generate(url, 1)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert running.result().json()["acknowledged"] == 100_000
        assert generate(url, 1).json()["acknowledged"] == 1
    kafka = Kafka(place)
    described = kafka.describe(kafka.topic_name("agreements"))
    assert described is not None
    assert sum(described.latest.values()) == 100_001


def test_a_missing_topic_is_told_and_found_once_it_is_there(place: Settings) -> None:
    bare = place.model_copy(update={"topic_prefix": f"{place.topic_prefix}later."})
    with serving(bare) as url:
        ready = httpx.get(f"{url}/ready")
        assert ready.status_code == 503
        assert f"Kafka has no topic {bare.topic_prefix}devices, " in ready.json()["reasons"][0]
        assert post(url, now_device()).status_code == 503
        kafka = Kafka(bare)
        for feed in FEEDS.values():
            kafka.create(kafka.topic_name(feed.topic))
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        assert post(url, now_device()).json()["accepted"] == 1


def test_a_topic_that_was_created_anew_takes_events_again(place: Settings) -> None:
    quick = place.model_copy(update={"collector_timeout_s": 3})
    kafka = Kafka(place)
    topic = kafka.topic_name("devices")
    accepted: list[str] = []

    def accepts(url: str, number: int) -> bool:
        answer = post(url, now_device(event_id=f"e{number}", id="one-partition"))
        assert answer.status_code in (200, 503)
        if answer.status_code == 200:
            accepted.append(f"e{number}")
        return answer.status_code == 200

    with serving(quick) as url:
        assert all(accepts(url, number) for number in range(5))
        admin = AdminClient(kafka.librdkafka())
        admin.delete_topics([topic])[topic].result()
        wait_until(lambda: is_gone(kafka, topic))
        accepts(url, 5)
        kafka.create(topic)
        accepted.clear()
        wait_until(lambda: accepts(url, 6))
        assert all(accepts(url, number) for number in range(7, 10))
    found = {json.loads(message.value)["event_id"] for message in oracle.received(place)}
    assert found >= set(accepted)


def wait_until(reached: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_while_kafka_is_away_events_wait_in_the_journal_also_for_the_next_process(
    place: Settings, servers: Settings, tmp_path: Path, full: bool
) -> None:
    broker, _ = EmbeddedStack(Home(servers.home)).servers
    quick = place.model_copy(update={"collector_timeout_s": 1})
    accepted: list[str] = []

    def send(url: str, count: int) -> None:
        for _ in range(count):
            events = [now_device(event_id=f"e{len(accepted) + n}") for n in range(20)]
            answer = post(url, array(*events))
            assert answer.status_code == 200, answer.text
            assert answer.elapsed.total_seconds() < 8, "given up late"
            accepted.extend(result["eventId"] for result in answer.json()["results"])

    with process(quick, "--journal", str(tmp_path)) as (collector, url):
        send(url, 5)
        broker.stop()
        send(url, 10)
        threading.Event().wait(60 if full else 0)
        send(url, 10)
        assert "bytemeter_collector_kafka_available 0.0" in httpx.get(f"{url}/metrics").text
        collector.kill()
        collector.wait()
    with process(quick, "--journal", str(tmp_path)) as (collector, url):
        send(url, 20)
        broker.start()
        wait_until(lambda: "bytemeter_collector_journal_bytes 0.0" in httpx.get(f"{url}/metrics").text)
        send(url, 5)
    found = [json.loads(message.value)["event_id"] for message in oracle.received(place)]
    counts = Counter(found)
    assert set(counts) == set(accepted)
    assert len(accepted) == 1_000
    # What one of both processes did not know to be acknowledged may come again.
    assert len(found) < 1_500
    # In order, apart from what came again: all events have the same key.
    assert list(dict.fromkeys(found)) == accepted
