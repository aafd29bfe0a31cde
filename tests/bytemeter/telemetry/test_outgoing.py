"""What failed fits into its topic, whatever it was: Kafka has taken it compressed, and may not be able to once more."""

from __future__ import annotations

import json

import pytest

from bytemeter.telemetry import topics
from bytemeter.telemetry.batches import failed_batch
from bytemeter.telemetry.outgoing import Outgoing
from bytemeter.telemetry.stages import failed_event
from tests.telemetry_events import event

MOST = topics.MESSAGE_BYTES[topics.FAILED]


@pytest.mark.parametrize("value", [b'"' * (MOST + 1), event("START", "m", tags=["x" * MOST])])
def test_of_a_message_that_its_topic_would_refuse_the_beginning_is_sent(value: bytes) -> None:
    reason = f"too large; the first 65536 of {len(value)} bytes"
    for made in (failed_batch(value, "too large"), failed_event(value, "too large")):
        assert made == Outgoing((topics.FAILED,), None, value[:65_536], reason)


def test_a_message_that_fits_is_sent_whole_with_all_that_is_added() -> None:
    value = event("START", "m", tags=["x" * (MOST - 32_768)])
    made = failed_event(value, "reason")
    assert json.loads(made.value or b"")["tags"] == json.loads(value)["tags"]
    assert (made.reason, made.key) == ("reason", b"device-1")


@pytest.mark.parametrize(
    ("did", "key"), [("d" * 512, b"d" * 512), ("😀" * 512, "😀".encode() * 512), ("d" * 513, None)]
)
def test_what_is_longer_than_an_id_may_be_is_no_key(did: str, key: bytes | None) -> None:
    assert failed_batch(b'{"did":"%b","events":5}' % did.encode(), "no list").key == key
