"""The collector judges events as the stream does, a minute more strictly."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bytemeter.feeds import DATA_RECORDS, DEVICES, FEEDS, TELEMETRY, Field, Text
from bytemeter.parsing import parse
from ingest.judging import MOST_EVENT_BYTES, field_of, judge, value_of
from tests.messages import NOW_S, data_record, device, messages
from tests.samples import ACCEPTED_DEVICES, REFUSED_DEVICES
from tests.telemetry_events import document, encoded

NOW_US = NOW_S * 1_000_000


def test_what_the_stream_refuses_is_refused_for_the_same_reason() -> None:
    samples = {name: value for name, (value, _) in REFUSED_DEVICES.items() if value is not None}
    judged = judge(DEVICES, list(samples.values()), NOW_US)
    assert dict(zip(samples, judged.reasons, strict=True)) == {name: REFUSED_DEVICES[name][1] for name in samples}


def test_what_is_accepted_is_valid_to_a_stream_whose_clock_is_a_minute_behind() -> None:
    values = [*ACCEPTED_DEVICES.values(), device(timestamp=NOW_S + 86_400 - 60), device(timestamp=NOW_S + 86_400 - 59)]
    reasons = judge(DEVICES, values, NOW_US).reasons
    behind = parse(DEVICES, messages(*values), now_us=NOW_US - 60_000_000).column("reason").to_pylist()
    assert reasons == behind
    assert reasons[-2:] == [None, "timestamp over a day in the future"]


def test_keys_ids_and_event_hours_are_told() -> None:
    judged = judge(DATA_RECORDS, [data_record(id="a"), b"rubbish", data_record(id="b", msisdn="1")], NOW_US)
    assert judged.reasons == [None, "not JSON", None]
    assert judged.keys[::2] == ["48917846822", "1"]
    assert judged.ids[::2] == ["a", "b"]
    # 2020-01-01T23:00Z
    assert judged.hours[0] == 1_577_919_600 // 3_600


def test_the_key_of_telemetry_is_the_device_else_the_actor() -> None:
    known = document("START", ets=NOW_S * 1_000)
    without = {**known, "context": {name: value for name, value in known["context"].items() if name != "did"}}
    judged = judge(TELEMETRY, [encoded(known), encoded(without)], NOW_US)
    assert (judged.reasons, judged.keys) == ([None, None], [known["context"]["did"], known["actor"]["id"]])


def test_an_event_that_kafka_would_not_take_is_invalid() -> None:
    fits = device(model="x" * (MOST_EVENT_BYTES - len(device(model=""))))
    assert judge(DEVICES, [fits, fits + b" "], NOW_US).reasons == [None, "event over 900000 bytes"]


@pytest.mark.parametrize("feed", FEEDS.values(), ids=lambda feed: feed.name)
def test_reasons_name_their_field(feed: object) -> None:
    declared = FEEDS[feed.name]  # type: ignore[attr-defined]
    for name in declared.names:
        assert field_of(declared, f"missing {name}") == name
        assert field_of(declared, f"{name} over 512 characters") == name
    assert field_of(declared, "not JSON") is None
    of_fields = [
        rule.reason for rule in declared.rules if not re.fullmatch("(event|batch) over [0-9]+ bytes", rule.reason)
    ]
    unnamed = {reason for reason in of_fields if field_of(declared, reason) is None}
    assert unnamed == ({"threshold not of 1 to 1000 percent"} if feed.name == "agreements" else set())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("event", "value"),
    [
        (device(bytes="9" * 200), '"' + "9" * 99),
        (device(bytes={"a": [1]}), '{"a":[1]}'),
        (device(bytes=None), None),
        (b'{"bytes":null}', "null"),
        (b'{"bytes":"\xff"}', None),
        (b"[1]", None),
        (b"", None),
    ],
)
def test_the_value_of_a_field_is_shown_as_it_is_written(event: bytes, value: str | None) -> None:
    assert value_of(DEVICES, "bytes", event) == value
    assert value_of(DEVICES, None, event) is None


def test_the_value_of_a_field_inside_other_objects_is_found() -> None:
    nested = replace(DEVICES, fields=(*DEVICES.fields, Field("channel", Text(), path=("context", "channel"))))
    assert value_of(nested, "channel", b'{"context":{"channel":7}}') == "7"
    assert value_of(nested, "channel", b'{"context":7}') is None
