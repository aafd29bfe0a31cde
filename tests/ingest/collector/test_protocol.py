"""Bytes on connections as no well-behaved client sends them: problems in their order, and nothing is held for long."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bytemeter.settings import Settings
from bytemeter.web import server
from tests.collectors import serving
from tests.messages import device
from tests.servers import DEADLINE_S, answers_to, connected

POST = (
    b"POST /v1/events/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-1\r\nContent-Type: application/json\r\n"
)
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def now_device() -> bytes:
    return device(timestamp=int(time.time()))


def sized(body: bytes) -> bytes:
    """The end of a head, and the body."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        POST + CHUNKED + sized(b"0\r\n\r\n"),
        POST + b"Content-Length: 1\r\n" + sized(b"{}"),
        POST + b"Content-Length: +2\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + CHUNKED + b"\r\n-1\r\n\r\n",
        GET + b"X : y\r\n\r\n",
        GET + b"X: a\r\n b\r\n\r\n",
        GET + b"X: a\rY: b\r\n\r\n",
        GET + b"X: a\0b\r\n\r\n",
        b"GET /health HTTP/1.1\nHost: x\n\n",
    ],
)
def test_what_is_no_http_is_a_problem_and_ends_the_connection(client: httpx.Client, request_: bytes) -> None:
    ((status, body),) = answers_to(client, request_)
    problem = json.loads(body)
    assert (status, problem["status"]) in {(400, 400), (408, 408)}
    assert problem["detail"]


def test_http_1_0_is_answered(client: httpx.Client) -> None:
    assert answers_to(client, b"GET /health HTTP/1.0\r\n\r\n") == [(200, b'{"status":"up"}')]
    ((status, _),) = answers_to(client, POST.replace(b"HTTP/1.1", b"HTTP/1.0") + sized(now_device()))
    assert status == 200


def test_an_offer_of_http_2_is_ignored_with_body_and_what_follows(client: httpx.Client) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    request_ = POST + upgrade + sized(now_device())
    answers = answers_to(client, request_[:150], request_[150:] + request_ + GET + b"Connection: close\r\n\r\n")
    assert [status for status, _ in answers] == [200, 200, 200]
    closing = answers_to(client, POST + upgrade.replace(b"Upgrade,", b"close, Upgrade,") + sized(now_device()) + GET)
    assert [status for status, _ in closing] == [200]
    assert [status for status, _ in answers_to(client, b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n")] == [405]


def test_a_large_head_is_refused_also_if_it_arrives_as_a_whole(client: httpx.Client) -> None:
    for large in (GET + b"X: " + b"x" * 70_000, b"GET /health?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x"):
        ((status, body),) = answers_to(client, large + b"\r\n\r\n")
        assert (status, "over 65536 bytes" in json.loads(body)["detail"]) == (431, True)


def test_pipelined_requests_are_answered_in_order_also_before_a_refusal(client: httpx.Client) -> None:
    three = b"".join(POST + sized(now_device()) for _ in range(3))
    answers = answers_to(client, three, GET + b"X: " + b"x" * 600_000)
    assert [status for status, _ in answers] == [200, 200, 200, 431]
    assert [status for status, _ in answers_to(client, three + b"rubbish\r\n\r\n")] == [200, 200, 200, 400]


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key"])
def test_a_header_that_readers_could_read_in_two_ways_is_refused(client: httpx.Client, name: str) -> None:
    given = {"Authorization": "Bearer key-1", "Content-Type": "application/json"}
    value = {**given, "Content-Encoding": "gzip", "Idempotency-Key": "k"}[name]
    lines = [(key, text) for key, text in given.items() if key != name] + [(name, value), (name.lower(), value)]
    with httpx.Client(base_url=client.base_url) as asking:
        answer = asking.post("/v1/events/devices", headers=lines, content=b"{}")
    assert (answer.status_code, answer.json()["name"], answer.json()["expected"]) == (400, name, "one")
    assert "key-1" not in answer.text


def test_a_large_body_gets_its_answer_and_the_rest_of_it_is_not_waited_for_long(client: httpx.Client) -> None:
    chunk = b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000)
    ((status, body),) = answers_to(client, POST + CHUNKED + b"\r\n", *[chunk] * 100)
    assert (status, json.loads(body)["status"]) == (413, 413)
    ((status, _),) = answers_to(client, POST + b"Content-Length: 1000000\r\n\r\n")
    assert status == 413
    ((status, _),) = answers_to(client, POST + b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
    assert status == 413
    ((status, _),) = answers_to(client, b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
    assert status == 404


def test_the_connection_is_good_for_the_next_request_after_a_large_body(client: httpx.Client) -> None:
    sent = [POST + sized(b"x" * 100_000), GET + b"Connection: close\r\n\r\n"]
    assert [status for status, _ in answers_to(client, *sent)] == [413, 200]


@pytest.mark.parametrize("around", [b"0\r\n" + b"T: " + b"y" * 60_000 + b"\r\n", b"1;" + b"x" * 60_000])
def test_endless_trailers_and_chunk_extensions_are_not_read(client: httpx.Client, around: bytes) -> None:
    with connected(client) as connection:
        connection.sendall(POST + CHUNKED + b"\r\n" + around)
        sent = flooded(connection, b"Y" * 60_000)
    # What fits into the buffers of both ends.
    assert sent < 20 * 2**20


def test_line_ends_do_not_keep_a_connection_open(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")
        deadline = time.monotonic() + DEADLINE_S
        connection.settimeout(0.1)
        answer = b""
        while not answer:
            assert time.monotonic() < deadline
            connection.sendall(b"\r\n")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(1_000)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_does_not_read_is_disconnected_and_its_answers_are_no_burden(
    client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def flood(_: int) -> None:
        with connected(client) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            flooded(connection, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")

    # Of each client some 64 KB wait: more than may be held, were they not given up.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(flood, range(3)))
    wait_until(lambda: has_room_for_a_large_body(client))
    assert "error" not in capsys.readouterr().err


def has_room_for_a_large_body(client: httpx.Client) -> bool:
    """Whether a body is taken that is larger than all that may be held while others are."""
    body = b"[%s]" % b",".join([now_device()] * 90)
    answer = client.post("/v1/events/devices", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 429)
    return answer.status_code == 200


def test_a_client_that_leaves_in_the_middle_holds_nothing(client: httpx.Client) -> None:
    for sent in (GET[:20], POST, POST + b"Content-Length: 20000\r\n\r\n" + b"x" * 15_000, POST + sized(now_device())):
        for _ in range(15):
            with connected(client) as connection:
                connection.sendall(sent)
    wait_until(lambda: "events_in_flight 0.0" in client.get("/metrics").text)
    # More than all that may be held, had those bodies stayed.
    wait_until(lambda: has_room_for_a_large_body(client))


def test_beyond_the_most_connections_clients_are_turned_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 2)
    with serving(settings.model_copy(update={"collector_timeout_s": DEADLINE_S})) as url:
        with httpx.Client(base_url=url) as one, httpx.Client(base_url=url) as two, httpx.Client(base_url=url) as three:
            assert [each.get("/health").status_code for each in (one, two)] == [200, 200]
            refused = three.get("/health")
            assert (refused.status_code, refused.json()["status"], refused.headers["Retry-After"]) == (503, 503, "1")
            one.close()
            wait_until(lambda: three.get("/health").status_code == 200)


def test_no_answer_leads_to_a_host_that_the_request_names(client: httpx.Client) -> None:
    for path in ("/docs/", "/v1/events/devices/"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 404
        assert "evil" not in str(answer.headers)


def flooded(connection: socket.socket, part: bytes) -> int:
    """Send the same until the collector ends the connection; returns how many bytes were sent by then."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while True:
            connection.sendall(part)
            sent += len(part)
    return sent


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
