"""Heads and bodies as no well-behaved client sends them: the API refuses them as the collector does."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from bytemeter.settings import Settings
from tests.apis import keys_file, serving
from tests.servers import answers_to
from tests.serving.api.test_facades import CAMARA, DEVICE, TMF

KEY = ("Authorization", "Bearer all")
EVENTS, VOLUME = "/v1/threshold-events", f"{CAMARA}/retrieve"
JSON = ("Content-Type", "application/json")


@pytest.fixture(scope="module")
def api(shared_api: httpx.Client) -> httpx.Client:
    """All tests of this module only read."""
    return shared_api


def test_a_header_that_decides_something_comes_once(shared: Settings, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, {"all": "subscribers", "own": "subscribers msisdn=49"})
    gzip = ("Content-Encoding", "gzip")
    with serving(shared, keys=keys) as url, httpx.Client(base_url=url) as api:
        for method, path, headers in (
            ("GET", EVENTS, [KEY, ("Authorization", "Bearer own")]),
            ("GET", f"{TMF}/49", [KEY, ("authorization", "Bearer all")]),
            ("GET", f"{EVENTS}/stream", [KEY, ("Last-Event-ID", "0"), ("Last-Event-ID", "1")]),
            ("POST", VOLUME, [KEY, JSON, ("Content-Type", "text/plain")]),
            ("POST", VOLUME, [KEY, JSON, gzip, gzip]),
        ):
            body = json.dumps({"device": DEVICE}).encode() if method == "POST" else None
            answer = api.request(method, path, headers=headers, content=body)
            assert (answer.status_code, answer.json()["expected"]) == (400, "one"), (path, answer.text)
            assert answer.json()["name"].lower() == headers[-1][0].lower()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/usage HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000, 431),
        (b"GET /v1/usage?id=" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x", 431),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r X: b", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\0b", 400),
        (b"POST " + VOLUME.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2", 400),
        (b"POST " + VOLUME.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", 400),
    ],
    ids=["large header", "large query", "bare CR", "NUL", "two lengths", "length and chunks"],
)
def test_a_head_that_is_too_large_or_no_http_is_a_problem(api: httpx.Client, head: bytes, status: int) -> None:
    ((found, body),) = answers_to(api, head + b"\r\n\r\n")
    assert (found, json.loads(body)["status"]) == (status, status)


def test_a_body_is_held_within_its_limits_whatever_it_announces(api: httpx.Client) -> None:
    chunks = (b" " * 1_000 for _ in range(20))
    large = api.post(VOLUME, content=chunks, headers=dict([JSON]))
    assert (large.status_code, large.json()["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    head = (
        b"POST "
        + VOLUME.encode()
        + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    )
    ((status, body),) = answers_to(api, head + b"Content-Length: 99999999\r\n\r\n")
    assert (status, "99999999 bytes" in json.loads(body)["message"]) == (413, True)
