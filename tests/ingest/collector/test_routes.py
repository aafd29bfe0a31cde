"""Requests that a collector answers by itself: Kafka is away, and what is accepted goes to a journal."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bytemeter.errors import BytemeterError
from bytemeter.feeds import TAKEN
from bytemeter.settings import Settings
from ingest.collector.documents import schema_of
from tests.collectors import serving
from tests.messages import device
from tests.samples import REFUSED_DEVICES


def now_device(**changes: Any) -> bytes:
    return device(timestamp=int(time.time()), **changes)


def post(client: httpx.Client, body: bytes, media: str = "application/json", **headers: str) -> httpx.Response:
    return client.post("/v1/events/devices", content=body, headers={"Content-Type": media, **headers})


def test_each_event_has_its_result_in_order(client: httpx.Client) -> None:
    bad = device(timestamp=int(time.time()) + 90_000)
    body = b"\n".join([now_device(event_id="a"), b"rubbish", now_device(event_id="a"), now_device(), bad])
    answer = post(client, body, "application/x-ndjson")
    assert answer.status_code == 207
    first, rubbish, again, named, ahead = answer.json()["results"]
    assert answer.json()["accepted"] == 2
    assert first == {"status": "accepted", "eventId": "a"}
    assert rubbish == {"status": "invalid", "reason": "not JSON"}
    assert again == {"status": "duplicate", "eventId": "a"}
    assert named["status"] == "accepted"
    assert named["eventId"]
    assert ahead == {
        "status": "invalid",
        "reason": "timestamp over a day in the future",
        "field": "timestamp",
        "value": str(json.loads(bad)["timestamp"]),
    }


def test_the_same_id_in_another_event_hour_is_no_duplicate(client: httpx.Client) -> None:
    now_s = int(time.time())
    events = [device(event_id="h", timestamp=now_s), device(event_id="h", timestamp=now_s - 3_600)]
    assert post(client, b"[" + b",".join(events) + b"]").json()["accepted"] == 2


def test_200_where_all_are_accepted_or_duplicates(client: httpx.Client) -> None:
    event = now_device(event_id="x")
    answer = post(client, gzip.compress(b"[%s,%s]" % (event, event)), **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert (post(client, b"[]").status_code, post(client, b"[]").json()) == (200, {"accepted": 0, "results": []})


def test_a_repeated_request_with_its_idempotency_key_gets_the_same_event_ids(client: httpx.Client) -> None:
    event = now_device()
    ids = [
        [result["eventId"] for result in post(client, b"[%s,%s]" % (event, event), **headers).json()["results"]]
        for headers in ({"Idempotency-Key": "k"}, {"Idempotency-Key": "k"}, {"Idempotency-Key": "l"}, {}, {})
    ]
    assert ids[0] == ids[1]
    assert len({id_ for pair in ids for id_ in pair}) == 8


def test_cloud_events_are_taken_with_id_and_source_as_event_id(client: httpx.Client) -> None:
    envelopes = [
        {"specversion": "1.0", "id": id_, "source": "s", "type": "t", "data": json.loads(now_device())}
        for id_ in ("1", "2", "1")
    ]
    batch = json.dumps([*envelopes, {"id": "3"}]).encode()
    results = post(client, batch, "application/cloudevents-batch+json").json()["results"]
    assert [result["status"] for result in results] == ["accepted", "accepted", "duplicate", "invalid"]
    assert results[3] == {"status": "invalid", "reason": "missing specversion", "field": "specversion"}
    single = post(client, json.dumps(envelopes[0]).encode(), "application/cloudevents+json").json()["results"]
    assert single == [results[0]]


@pytest.mark.parametrize(
    ("body", "headers", "status", "detail"),
    [
        (b"[" + b"1," * 100 + b"1]", {}, 413, "101 events; send at most 100"),
        (b"x" * 20_001, {}, 413, "20001 bytes; send at most 20000"),
        (gzip.compress(bytes(10**7)), {"Content-Encoding": "gzip"}, 413, "over 20000 bytes when inflated"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (b"{}", {"Content-Encoding": "br"}, 415, "Content-Encoding is 'br'; expected gzip or none"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "Content-Type is 'text/plain'"),
        (b"", {}, 400, "the body is empty"),
        (b"[{]", {}, 400, "not a JSON array of events"),
        (b"{}", {"Idempotency-Key": "k" * 257}, 400, "expected 1 to 256 characters"),
        (b"{}", {"Idempotency-Key": "a b"}, 400, "Idempotency-Key is 'a b'; expected 1 to 256 characters of ASCII"),
        (b"{}", {"Authorization": "Bearer other"}, 401, "unknown API key"),
        (b"{}", {"Authorization": "Bearer key-2"}, 403, "may not send to the feed 'devices'"),
    ],
)
def test_a_request_that_is_refused_as_a_whole_says_why(
    client: httpx.Client, body: bytes, headers: dict[str, str], status: int, detail: str
) -> None:
    answer = post(client, body, **headers)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert detail in problem["detail"]


def test_unknown_feeds_routes_and_methods_are_problems(client: httpx.Client) -> None:
    # The last one is a feed that only live queries write.
    for name in ("phones", "telemetry-unique"):
        unknown = client.post(f"/v1/events/{name}", content=b"{}")
        assert (unknown.status_code, unknown.json()["value"]) == (404, name)
    for answer, status in ((client.get("/nowhere"), 404), (client.get("/v1/events/devices"), 405)):
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_events_that_no_reader_would_take_are_invalid_and_never_an_error(client: httpx.Client) -> None:
    bodies = [
        value
        for name, (value, reason) in REFUSED_DEVICES.items()
        if value and name != "an array" and "in the future" not in reason
    ]
    statuses = {post(client, b"[%s]" % body if number % 2 else body).status_code for number, body in enumerate(bodies)}
    assert statuses == {207, 400}


def test_a_slow_body_is_given_up(client: httpx.Client) -> None:
    head = b"POST /v1/events/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-1\r\nContent-Type: application/json\r\n"
    assert answer_to(client, head + b"Content-Length: 10\r\n\r\n{").startswith(b"HTTP/1.1 408 ")


def test_a_slow_or_endless_head_is_given_up(client: httpx.Client) -> None:
    assert answer_to(client, b"").startswith(b"HTTP/1.1 408 ")
    assert answer_to(client, b"GET / HTTP/1.1\r\nX: ").startswith(b"HTTP/1.1 408 ")
    assert answer_to(client, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000).startswith(b"HTTP/1.1 431 ")


def answer_to(client: httpx.Client, sent: bytes) -> bytes:
    """What a collector answers to bytes on a connection that then says nothing."""
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(sent)
        return connection.recv(1_000)


def test_more_events_than_may_be_in_flight_are_turned_away_for_a_while(client: httpx.Client) -> None:
    body = b"[" + b",".join([now_device()] * 60) + b"]"

    async def together() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, headers=client.headers) as asking:
            posting = (
                asking.post("/v1/events/devices", content=body, headers={"Content-Type": "application/json"})
                for _ in range(20)
            )
            return await asyncio.gather(*posting)

    answers = asyncio.run(together())
    assert {answer.status_code for answer in answers} == {200, 429}
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status_code == 429} == {"1"}
    assert post(client, body).status_code == 200


def test_health_readiness_metrics_and_documents_need_no_key(client: httpx.Client) -> None:
    with httpx.Client(base_url=client.base_url) as anybody:
        assert anybody.get("/health").json() == {"status": "up"}
        # The journal takes events.
        assert anybody.get("/ready").json() == {"ready": True, "reasons": []}
        metrics = anybody.get("/metrics").text
        document = anybody.get("/openapi.json").json()
        page = anybody.get("/docs").text
    assert "bytemeter_collector_kafka_available 0.0" in metrics
    assert 'bytemeter_collector_events_total{feed="devices",status="accepted"}' in metrics
    assert float(metrics.partition("\nbytemeter_collector_journal_bytes ")[2].split()[0]) > 0
    assert "phones" not in metrics
    assert {f"/v1/events/{feed}" for feed in TAKEN} < set(document["paths"])
    assert all(path in page for path in document["paths"])
    assert {"Idempotency-Key", "413", "The body is too large."} <= set(re.findall(r"<td>(?:<code>)?([^<\n]+)", page))
    assert "<script" not in page


def test_the_documented_schema_has_the_fields_of_the_feed() -> None:
    schema = schema_of(TAKEN["data-records"])
    assert set(schema["properties"]) == set(TAKEN["data-records"].names)
    assert schema["required"] == ["msisdn", "recordedAt", "recordedBytes"]


def test_without_a_journal_events_are_refused_while_kafka_is_away(settings: Settings) -> None:
    with serving(settings) as url:
        answer = httpx.post(f"{url}/v1/events/devices", json={})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert httpx.get(f"{url}/purchase_a_sword").status_code == 503
        ready = httpx.get(f"{url}/ready")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["Kafka cannot be reached"])
        assert httpx.get(f"{url}/health").status_code == 200


def test_a_full_journal_refuses_what_it_cannot_keep(settings: Settings, tmp_path: Path) -> None:
    small = settings.model_copy(update={"collector_journal_bytes": 1_000})
    with serving(small, journal=tmp_path) as url:
        statuses = [httpx.post(f"{url}/v1/events/devices", json=json.loads(now_device())).status_code for _ in range(9)]
    assert statuses[0] == 200
    assert statuses[-1] == 503
    assert sorted(statuses) == statuses


def test_a_journal_whose_folder_is_gone_accepts_nothing_until_it_is_back(settings: Settings, tmp_path: Path) -> None:
    journal, aside = tmp_path / "journal", tmp_path / "aside"
    with serving(settings, journal=journal) as url:
        statuses = []
        for change in (lambda: journal.rename(aside), lambda: aside.rename(journal)):
            change()
            statuses.append(httpx.post(f"{url}/v1/events/devices", json=json.loads(now_device())).status_code)
    assert statuses == [503, 200]


def test_everybody_may_send_on_loopback_only(settings: Settings) -> None:
    complaint = r"--host 0\.0\.0\.0 can be reached by others, .* give --keys FILE"
    with pytest.raises(BytemeterError, match=complaint), serving(settings, host="0.0.0.0"):  # noqa: S104
        pass


def test_settings_that_kafkas_client_refuses_are_told_in_one_line(settings: Settings, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    refused = {"kafka_security_protocol": "SSL", "kafka_ssl_ca_location": authority}
    complaint = "^Kafka's client refuses its settings: [^\\n]*; check BYTEMETER_KAFKA_"
    with pytest.raises(BytemeterError, match=complaint), serving(settings.model_copy(update=refused)):
        pass
