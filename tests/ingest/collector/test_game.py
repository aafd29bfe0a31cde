"""The event of a player's call: its type, its time and the request's headers, but no secrets."""

from __future__ import annotations

import json
from typing import Any

from bytemeter.feeds import GAME_EVENTS
from bytemeter.settings import load_settings
from ingest.collector.game import ACTIONS, event_of, secret_words
from ingest.judging import judge
from tests.messages import NOW_S

SECRET = secret_words(load_settings().collector_secret_headers)


def called(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    (value,) = event_of(ACTIONS[1], headers, at_s=NOW_S, secret=SECRET).values
    assert judge(GAME_EVENTS, [value], NOW_S * 1_000_000).reasons == [None]
    event: dict[str, Any] = json.loads(value)
    return event


def test_headers_keep_their_values_under_their_usual_names() -> None:
    event = called((b"user-agent", b"caf\xe9\x00\x7f"), (b"accept", b"a"), (b"accept", b"b"), (b"x-empty", b""))
    assert {event["User-Agent"], event["Accept"], event["X-Empty"]} == {"café\0\x7f", "a, b", ""}
    assert (event["event_type"], event["timestamp"]) == ("purchase_sword", NOW_S)


def test_headers_that_carry_secrets_are_left_out() -> None:
    secret = (
        *(b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key", b"x-auth-token"),
        *(b"x-csrf-token", b"x-amz-signature", b"client-secret", b"x-password", b"session-id"),
    )
    event = called(*((name, b"s3cr3t") for name in secret), (b"host", b"h"))
    assert set(event) == {"event_id", "event_type", "timestamp", "Host"}


def test_no_header_takes_the_place_of_the_event_s_own_members() -> None:
    event = called((b"event_type", b"evil"), (b"timestamp", b"1"), (b"EVENT_ID", b"x"))
    assert event["event_type"] == "purchase_sword"
    assert event["timestamp"] == NOW_S
    assert called()["event_id"] != event["event_id"] != "x"


def test_which_headers_are_left_out_can_be_chosen() -> None:
    assert secret_words(" Cookie, ,x-") == ("cookie", "x-")
    headers = [(b"authorization", b"a"), (b"x-trace", b"b")]
    (value,) = event_of(ACTIONS[0], headers, at_s=NOW_S, secret=secret_words("x-")).values
    assert "Authorization" in json.loads(value)
    assert "X-Trace" not in json.loads(value)
