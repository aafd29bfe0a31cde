"""CloudEvents: id and source make the event id, data is the event, and a broken envelope costs itself alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.collector.cloud_events import Refused
from ingest.collector.splitting import CLOUD_EVENT, CLOUD_EVENTS, split

ENVELOPE: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "shop", "type": "x", "data": {"n": 1.50}}


def envelope(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (ENVELOPE | changes).items() if value is not ...}).encode()


def ids(*envelopes: bytes) -> list[str]:
    return list(split(b"[" + b",".join(envelopes) + b"]", CLOUD_EVENTS, 9).ids.values())


def test_data_is_the_event_as_it_is() -> None:
    events = split(envelope().replace(b"1.5", b"1.50"), CLOUD_EVENT, 9)
    assert events.values == [b'{"n": 1.50}']
    assert list(events.ids) == [0]
    assert not events.refused


def test_id_and_source_make_the_event_id() -> None:
    again, *others = ids(
        envelope(type="y", data={"n": 2}),
        envelope(id="2"),
        envelope(source="shop2"),
        envelope(id="p1", source="sho"),
        envelope(id="op1", source="sh"),
    )
    assert [again] == ids(envelope())
    assert len({again, *others}) == 5


@pytest.mark.parametrize(
    ("bad", "reason", "field"),
    [
        (envelope(id=...), "missing id", "id"),
        (envelope(source=""), "source is not a text of 1 to 4096 characters", "source"),
        (envelope(id=7), "id is not a text of 1 to 4096 characters", "id"),
        (envelope(id="\ud800"), "not a CloudEvent: not a JSON object", None),
        (envelope(specversion="0.3"), "specversion is not 1.0", "specversion"),
        (envelope(data=...), "missing data: expected the event as a JSON object", "data"),
        (envelope(data=..., data_base64="e30="), "data_base64 in place of data: expected the event as a JSON object", "data"),
        (b"17", "not a CloudEvent: not a JSON object", None),
    ],
)  # fmt: skip
def test_a_broken_envelope_costs_itself_alone(bad: bytes, reason: str, field: str | None) -> None:
    events = split(b"[" + b",".join([envelope(), bad, envelope(id="2")]) + b"]", CLOUD_EVENTS, 9)
    assert events.refused == {1: Refused(reason, field)}
    assert list(events.ids) == [0, 2]
    assert events.values == [b'{"n": 1.5}', b"", b'{"n": 1.5}']
