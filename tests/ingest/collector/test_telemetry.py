"""Batches of telemetry over HTTP: refused as a whole, or one message to the stream with the ids that it lacked."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx
import pytest

from bytemeter.feeds import TELEMETRY_BATCHES
from bytemeter.settings import Settings
from bytemeter.web.problems import Problem
from ingest.collector.telemetry import MOST_BATCH_BYTES, batch_of
from tests.collectors import serving
from tests.integration import oracle
from tests.servers import DEADLINE_S
from tests.telemetry import create_topics
from tests.telemetry_events import document, encoded

NOW_MS = 1_600_545_300_000
NO_HEADERS: dict[str, str | None] = {"did": None, "channel": None, "pid": None}
KEY = {"Authorization": "Bearer key-4"}


def batch(**members: Any) -> dict[str, Any]:
    return {"ver": "3.0", "ets": NOW_MS - 5_000, "events": [document("START"), document("END")]} | members


def made(given: dict[str, Any] | bytes, headers: dict[str, str | None] = NO_HEADERS) -> dict[str, Any]:
    body = given if isinstance(given, bytes) else encoded(given)
    found: dict[str, Any] = json.loads(batch_of(body, headers, lambda: "new", NOW_MS).value)
    return found


def post(client: httpx.Client, given: dict[str, Any] | bytes, **headers: str) -> httpx.Response:
    body = given if isinstance(given, bytes) else encoded(given)
    return client.post("/v1/telemetry", content=body, headers={**KEY, "Content-Type": "application/json", **headers})


def test_a_batch_gets_what_it_lacks_and_keeps_what_it_has() -> None:
    headers: dict[str, str | None] = {"did": "d-9", "channel": "ch", "pid": "app"}
    ours = {"did": "d-9", "channel": "ch", "pid": "app", "id": "new", "mid": "new", "syncts": NOW_MS}
    assert made(batch(did="other"), headers) == batch() | ours | {"params": {"msgid": "new"}}
    named = batch(mid="m", id="ekstep.telemetry", params={"did": "d", "requesterId": "r"})
    assert made(named) == named | {"id": "m", "syncts": NOW_MS}
    assert made(batch(mid="", params={"msgid": "k", "key": ""}))["params"] == {"msgid": "k", "key": ""}
    assert made(batch(mid=None, params=None))["params"] == {"msgid": "new"}


def test_events_stay_byte_for_byte_whatever_they_are() -> None:
    events = b'[ {"ets" :1.50e3,"a":"\\u0061","a":{}} , {}]'
    value = batch_of(b'{"events":' + events + b"}", NO_HEADERS, lambda: "new", NOW_MS).value
    assert events in value


def test_the_key_is_the_device() -> None:
    keys = [
        batch_of(encoded(batch(**members)), {**NO_HEADERS, "did": named}, lambda: "new", NOW_MS).key
        for members, named in (({}, "d-1"), ({"did": "d-2"}, None), ({"did": ""}, None), ({}, None))
    ]
    assert keys == ["d-1", "d-2", None, None]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"events":[{}]', "Input data was truncated"),
        (b'{"events":[]} x', "JSON is malformed: trailing characters"),
        (b'{"events":[],"x":"\xff"}', "not UTF-8"),
        (b"{}", "missing events"),
        (b'{"events":{}}', "events: Expected `array`, got `object`"),
        (b'{"events":[{},5]}', r"events: Expected `object`, got `int` - at `\$\[1\]`"),
        (b'{"events":null}', "events: Expected `array`, got `null`"),
        (b'{"events":[],"mid":5}', "mid: Expected `str | null`, got `int`"),
        (b'{"events":[],"mid":"%s"}' % (b"x" * 513), "mid: Expected `str` of length <= 512"),
        (b'{"events":[],"params":[]}', "params is not an object"),
        (b'{"events":[],"params":{"msgid":5}}', "msgid is not a text"),
        (b'{"events":[],"params":{"msgid":"a\\u0000"}}', "NUL in msgid"),
        (b'{"events":[],"did":5}', "device is not a text"),
        (b'{"events":[' + b"{}," * 50_000 + b"{}]}", "50001 events, at most 50000 are taken"),
        (b'{"events":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "."),
    ],
)
def test_what_would_be_a_broken_batch_to_the_stream_is_refused(body: bytes, complaint: str) -> None:
    with pytest.raises(Problem, match=f"the body is no batch: .*{complaint}.*; expected one JSON object") as told:
        made(body)
    assert told.value.status == 400


def test_a_request_is_answered_with_the_id_of_its_batch(client: httpx.Client) -> None:
    answer = post(client, batch(mid="m-7"))
    assert (answer.status_code, answer.json()) == (
        200,
        {"accepted": 1, "results": [{"status": "accepted", "eventId": "m-7"}]},
    )
    keyed = [post(client, batch(), **{"Idempotency-Key": key}).json()["results"][0]["eventId"] for key in "aab"]
    assert keyed[0] == keyed[1] != keyed[2]
    other = post(client, batch(ver="3.1"), **{"Idempotency-Key": "a"})
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer key-1"}, 403),
        ({"Authorization": "Bearer nobody"}, 401),
        ({"Content-Type": "application/x-ndjson"}, 415),
        ({"Idempotency-Key": "a b"}, 400),
    ],
)
def test_requests_are_held_to_the_rules_of_the_other_routes(
    headers: dict[str, str], status: int, client: httpx.Client
) -> None:
    assert post(client, batch(), **headers).status_code == status
    assert client.get("/v1/telemetry", headers=KEY).status_code == 405


def test_a_large_body_is_refused_also_if_it_is_large_when_inflated(client: httpx.Client) -> None:
    # The fixture's limit is less than that of batches: the lesser one holds.
    large = encoded(batch(events=[document("START", mid=f"{n}") for n in range(80)]))
    assert len(large) > 20_000
    assert post(client, large).status_code == 413
    assert post(client, gzip.compress(large), **{"Content-Encoding": "gzip"}).status_code == 413
    many = encoded({"events": [{}] * 101})
    assert (post(client, many).status_code, post(client, many).json()["detail"][:8]) == (413, "the body")


def test_batches_of_up_to_five_mebibytes_reach_kafka_as_one_message_each(place: Settings) -> None:
    create_topics(place)
    exact = encoded(batch(mid="large", note=""))
    exact = exact.replace(b'"note":""', b'"note":"%s"' % (b"x" * (MOST_BATCH_BYTES - len(exact))))
    with serving(place) as url, httpx.Client(base_url=url, timeout=DEADLINE_S) as sending:
        large = post(sending, exact, **{"x-device-id": "d-1", "x-channel-id": "c-1", "x-app-id": "a-1"})
        small = post(sending, batch(mid="small", did="d-2"))
        assert [answer.json()["accepted"] for answer in (large, small)] == [1, 1]
        assert post(sending, exact + b" ").status_code == 413
        counts = sending.get("/metrics").text
        assert 'bytemeter_collector_events_total{feed="telemetry-batches",status="accepted"} 2.0' in counts
    messages = {
        json.loads(message.value)["mid"]: message for message in oracle.received(place, TELEMETRY_BATCHES.topic)
    }
    assert sorted(messages) == ["large", "small"]
    found = json.loads(messages["large"].value)
    assert [found[name] for name in ("did", "channel", "pid")] == ["d-1", "c-1", "a-1"]
    assert abs(found["syncts"] - 1_000 * time.time()) < 1_000 * DEADLINE_S
    assert [messages[mid].key for mid in ("large", "small")] == [b"d-1", b"d-2"]


def test_single_events_are_judged_by_the_schema_of_their_kind_at_once(client: httpx.Client) -> None:
    now_ms = 1_000 * time.time()
    events = [
        document("START", mid="e-1", ets=now_ms),
        {name: value for name, value in document("LOG", ets=now_ms).items() if name != "mid"},
        document("END", mid="e-2", ets=now_ms, edata={"type": "app", "duration": "1"}),
        document("NOBODY", ets=now_ms),
    ]
    answer = client.post("/v1/events/telemetry", json=events, headers=KEY)
    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "accepted", "invalid", "invalid"]
    assert answer.json()["results"][0]["eventId"] == "e-1"
    assert answer.json()["results"][2] == {
        "status": "invalid", "reason": "/edata/duration: type", "field": "duration", "value": '"1"',
    }  # fmt: skip
    assert answer.json()["results"][3]["reason"].startswith("Schema not found")
