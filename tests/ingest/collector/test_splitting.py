"""A body becomes the events in it, each as it was sent; a body that cannot be read is refused as a whole."""

from __future__ import annotations

import pytest

from bytemeter.web.problems import Problem
from ingest.collector.splitting import CLOUD_EVENTS, JSON, NDJSON, split


@pytest.mark.parametrize(
    ("body", "media", "values"),
    [
        (b'{"a":1}', JSON, [b'{"a":1}']),
        (b' [ {"a" : 1.0} ,{"b":"]"}]\n', f"{JSON}; charset=utf-8", [b'{"a" : 1.0}', b'{"b":"]"}']),
        (b"[]", JSON, []),
        (b"[1,null]", JSON, [b"1", b"null"]),
        (b'{"a":1}\n\r\n  \n{"b":2}\r\nrubbish', NDJSON[0], [b'{"a":1}', b'{"b":2}\r', b"rubbish"]),
        (b"17", JSON, [b"17"]),
        (b'[1, NaN ,{"a":"\\ud800]"}]\n', JSON, [b"1", b"NaN", b'{"a":"\\ud800]"}']),
        (b"[" + b"9" * 5_000 + b",NaN]", JSON, [b"9" * 5_000, b"NaN"]),
        (b'[{"a":"\xff"},1]', JSON, [b'{"a":"\xff"}', b"1"]),
        (b'[NaN,"\xff"]', JSON, [b"NaN", b'"\xff"']),
        ('[[0,0,0,0,0,0],"é"]'.encode(), JSON, [b"[0,0,0,0,0,0]", '"é"'.encode()]),
        (b"[" + b"1," * 10 + b"1]", JSON, [b"1"] * 6),
        (b"1\n" * 10, NDJSON[0], [b"1"] * 6),
    ],
)
def test_a_body_becomes_the_events_in_it(body: bytes, media: str, values: list[bytes]) -> None:
    assert split(body, media, 5).values == values


@pytest.mark.parametrize(
    ("body", "media", "status", "detail"),
    [
        (b"[{}", JSON, 400, "not a JSON array of events"),
        (b'[{"a":1}]]', JSON, 400, "not a JSON array of events"),
        (b"[NaN,]", JSON, 400, "not a JSON array of events"),
        (b"[NaN] 1", JSON, 400, "not a JSON array of events"),
        (b"[NaN 1]", JSON, 400, "not a JSON array of events"),
        (b"[" * 100_000, JSON, 400, "not a JSON array of events"),
        (b" \n", JSON, 400, "the body is empty"),
        (b"{}", CLOUD_EVENTS, 400, "not a JSON array of events"),
        (b"{}", "text/plain", 415, "Content-Type is 'text/plain'; expected application/json or"),
        (b"{}", "", 415, "Content-Type is ''"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes, media: str, status: int, detail: str) -> None:
    with pytest.raises(Problem, match=detail) as caught:
        split(body, media, 5)
    assert caught.value.status == status
