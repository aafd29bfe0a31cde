"""Batches into events: bytes stay, what fails fails alone, and all of it is the same when it is made again."""

from __future__ import annotations

import json
import random

import pytest

from bytemeter.telemetry import topics
from bytemeter.telemetry.batches import MOST_EVENT_BYTES, Position, envelope, repeated_batch, sent_of
from bytemeter.telemetry.outgoing import Outgoing
from tests.seeds import SEED
from tests.telemetry_events import batch, document, event, nested

AT = Position(2, 17, 1_763_720_000_123_456)


def sent(value: bytes) -> dict[str, list[Outgoing]]:
    """What becomes of a message, by topic; made twice."""
    made = list(sent_of(value, AT))
    assert made == list(sent_of(value, AT))
    by_topic: dict[str, list[Outgoing]] = {}
    for outgoing in made:
        (topic,) = outgoing.topics
        by_topic.setdefault(topic, []).append(outgoing)
    return by_topic


def test_members_of_events_keep_their_bytes_and_are_stamped() -> None:
    written = b'{"eid" : "START","edata":{ "n": 1.50, "t":"\\u0041\\/" ,"e":1E5},"ets":1.0}'
    (raw,) = sent(batch(written, syncts=1_763_720_000_001))[topics.RAW]
    assert raw.value == (
        b'{"eid":"START","edata":{ "n": 1.50, "t":"\\u0041\\/" ,"e":1E5},"ets":1.0,"syncts":1763720000001,'
        b'"@timestamp":"2025-11-21T10:13:20.001Z","flags":{"ex_processed":true}}'
    )


def test_a_batch_without_syncts_has_the_time_at_which_kafka_took_it() -> None:
    (raw,) = sent(batch(event("START", "a"), syncts="now"))[topics.RAW]
    stamped = json.loads(raw.value or b"")
    assert (stamped["syncts"], stamped["@timestamp"]) == (1_763_720_000_123, "2025-11-21T10:13:20.123Z")


def test_a_single_event_is_an_event_without_an_audit_log() -> None:
    assert {topic: len(all_) for topic, all_ in sent(event("START", "a")).items()} == {topics.RAW: 1}


def test_an_event_that_is_nested_too_deep_or_no_object_or_not_utf8_fails_alone_as_received() -> None:
    deep = b'{"eid":"START","tags":' + nested(10_000) + b"}"
    bad = [deep, b"17", b'"text"', b"null", event("END", "c").replace(b"app", b"a\xff")]
    value = batch(event("START", "a"), *bad, event("START", "b"), params={"did": "D"})
    assert json.loads(envelope(value) or b"")["events"] == 7
    made = sent(value)
    assert [json.loads(out.value or b"")["mid"] for out in made[topics.RAW]] == ["a", "b"]
    assert [out.reason for out in made[topics.FAILED]] == [
        "nested too deep", *["not a JSON object"] * 3, "not UTF-8",
    ]  # fmt: skip
    assert [out.value for out in made[topics.FAILED][:4]] == bad[:4]
    assert {out.key for out in made[topics.FAILED][:4]} == {b"D"}


def test_a_text_like_the_mark_of_a_deep_item_stays() -> None:
    deep = b'{"a":' + nested(2_000) + b"}"
    made = sent(batch(event("START", "deep0"), b'"deep1"', deep, deep, params={"msgid": "deep"}))
    assert [out.value for out in made[topics.FAILED]] == [b'"deep1"', deep, deep]


def test_an_event_of_1_mib_passes_and_one_of_a_byte_more_fails_with_flags() -> None:
    frame = len(event("START", "a", edata={"type": ""}))
    fits = event("START", "a", edata={"type": "x" * (MOST_EVENT_BYTES - frame)})
    over = event("START", "b", edata={"type": "x" * (MOST_EVENT_BYTES - frame + 1)})
    made = sent(batch(fits, over))
    assert [json.loads(out.value or b"")["mid"] for out in made[topics.RAW]] == ["a"]
    (failed,) = made[topics.FAILED]
    assert failed.reason == "event of 1048577 bytes, at most 1048576 are taken"
    assert json.loads(failed.value or b"") == {
        **json.loads(over),
        "flags": {"ex_processed": False},
        "metadata": {"ex_error": failed.reason, "src": "TelemetryExtractor"},
    }


def test_ten_thousand_events_each_become_one() -> None:
    made = sent(batch(*(event("START", f"m{n}") for n in range(10_000))))
    assert [json.loads(out.value or b"")["mid"] for out in made[topics.RAW]] == [f"m{n}" for n in range(10_000)]
    (audit,) = (json.loads(out.value or b"") for out in made[topics.LOG])
    assert audit["edata"]["params"][1:] == [{"events_count": 10_000}, {"events_failed": 0}]


def test_flags_and_metadata_that_an_event_has_are_kept() -> None:
    marked = event("START", "a", flags={"mine": 1}, metadata="text")
    (raw,) = sent(batch(marked))[topics.RAW]
    assert json.loads(raw.value or b"")["flags"] == {"mine": 1, "ex_processed": True}


@pytest.mark.parametrize(
    ("value", "events"),
    [
        (batch(), 0),
        (batch(event("START", "a"), event("START", "b")), 2),
        (event("START", "a"), 1),
        (b'{"events":null,"eid":"START"}', 1),
        (b'{"events":{"eid":"START"}}', "no list"),
        (b'{"events":5}', "no list"),
        (b"{}", None),
    ],
)
def test_an_envelope_says_how_many_events_there_are(value: bytes, events: object) -> None:
    assert json.loads(envelope(value) or b"").get("events") == events


def test_what_cannot_be_read_is_its_own_envelope() -> None:
    for value in (None, b"", b"[]", b"{", b'{"a":' + nested(5_000) + b"}", b'{"events":[' + nested(5_000)):
        assert envelope(value) == value


def test_answers_of_registration_go_to_their_own_topic_alone() -> None:
    answered = [document("ASSESS", "a"), document("RESPONSE", "b"), document("ASSESS", "c"), document("ASSESS", "d")]
    answered[0]["edata"] = {**answered[0]["edata"], "item": {"id": "q", "type": "registration"}}
    answered[1]["edata"] = {**answered[1]["edata"], "target": {"id": "q", "ver": "1", "type": "Registration"}}
    answered[2]["edata"] = {**answered[2]["edata"], "item": {"id": "q", "params": [{"questionType": "Registration"}]}}
    made = sent(batch(*(json.dumps(one).encode() for one in answered)))
    full = {found["mid"]: found for found in (json.loads(out.value or b"") for out in made[topics.ASSESS])}
    raw = {found["mid"]: found for found in (json.loads(out.value or b"") for out in made[topics.RAW])}
    assert sorted(full) == ["a", "b", "c"]
    assert [full[mid]["edata"]["values" if mid == "b" else "resvalues"] for mid in "abc"] == [[{"1": "a"}]] * 3
    assert [raw[mid]["edata"]["values" if mid == "b" else "resvalues"] for mid in "abcd"] == [[], [], [], [{"1": "a"}]]


def test_any_bytes_become_messages_or_are_refused_by_their_envelope() -> None:
    chance = random.Random(SEED)
    good = batch(event("START", "a"), event("SHARE", "b"), params={"msgid": "m"})
    for _ in range(2_000):
        value = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            value[chance.randrange(len(value))] = chance.choice(b'{}[]",:\\x0\xff\x00 9')
        made = envelope(bytes(value))
        if made != bytes(value) and type(json.loads((made or b"").decode(errors="replace"))["events"]) is int:
            assert list(sent_of(bytes(value), AT))


def test_a_repeated_batch_has_its_flag_also_where_an_event_is_nested_too_deep() -> None:
    deep = b'{"a":' + nested(10_000) + b"}"
    for value in (batch(event("START", "a"), params={"msgid": "m"}), batch(deep, event("START", "a"), deep)):
        sent = repeated_batch(value, b"key")
        assert sent.topics == (topics.DUPLICATE,)
        assert sent.key == b"key"
        assert (sent.value or b"").endswith(b',"flags":{"extractor_duplicate":true}}')
        assert (sent.value or b"").count(deep) == value.count(deep)
        assert value[value.index(b"[") : -1] in (sent.value or b"")
