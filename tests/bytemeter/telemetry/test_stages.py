"""Events to the topics of their kind, with their flags; made again they are the same."""

from __future__ import annotations

import json

import pytest

from bytemeter.telemetry import topics
from bytemeter.telemetry.outgoing import Outgoing, duplicate
from bytemeter.telemetry.stages import Known, failed_event, sent_of
from tests.telemetry_events import EDATA, event, known

SECONDARY, PRIMARY = (topics.UNIQUE, topics.SECONDARY), (topics.UNIQUE, topics.PRIMARY)


def sent(value: bytes, eid: str) -> list[Outgoing]:
    """What is sent of an event, which is the same if its device and actor are known."""
    made = list(sent_of(value, eid))
    assert made == list(sent_of(value, eid))
    with_known = list(sent_of(value, eid, known(value)))
    assert [as_read(outgoing) for outgoing in with_known] == [as_read(outgoing) for outgoing in made]
    return made


def as_read(outgoing: Outgoing) -> tuple[object, ...]:
    """A message as a consumer reads it, with the order of its members."""
    document = json.loads(outgoing.value or b"", object_pairs_hook=list)
    return outgoing.topics, outgoing.key, outgoing.reason, document


@pytest.mark.parametrize("eid", EDATA)
def test_each_kind_goes_to_its_topics(eid: str) -> None:
    others = {
        "LOG": (topics.LOG,), "ERROR": (topics.ERROR,), "INTERACT": SECONDARY, "IMPRESSION": SECONDARY,
        "AUDIT": (*PRIMARY, topics.AUDIT),
    }  # fmt: skip
    made = sent(event(eid, "m"), eid)[0]
    assert (made.topics, made.key, made.reason) == (others.get(eid, PRIMARY), b"device-1", None)


def test_members_keep_their_bytes() -> None:
    value = b'{"eid":"START","edata":{ "n": 1.50 , "t":"\\u0041" },"actor":{"id" : "f","type":"User"}}'
    (made,) = sent(value, "START")
    flags = b',"flags":{"pp_validation_processed":true,"pp_duplicate":false}}'
    assert made.value == value[:-1] + flags


FLAGS = {"pp_validation_processed": True, "pp_duplicate": False}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", FLAGS), (',"flags":{"ex_processed":true}', {"ex_processed": True, **FLAGS}), (',"flags":{}', FLAGS),
        (',"flags": {"a":1}', {"a": 1, **FLAGS}), (',"flags":{"a":1} ', {"a": 1, **FLAGS}), (',"flags":5', FLAGS),
        (',"flags":{"a":1},"last":0', {"a": 1, **FLAGS}), (',"flags":{"pp_duplicate":true}', FLAGS),
        (',"fl\\u0061gs":{"a":1}', {"a": 1, **FLAGS}), (',"flags":{"a":{"flags":{"b":2}}}', {"a": {"flags": {"b": 2}}, **FLAGS}),
        (',"flags":{"a":1},"last":{"x":0,"flags":{"a":1}}', {"a": 1, **FLAGS}),
        (',"last":{"x":0,"flags":{"a":1}}', FLAGS), (',"last":",\\"flags\\":{}}"', FLAGS),
        (f',"flags":{{"long":"{"x" * 300}"}}', {"long": "x" * 300, **FLAGS}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["}", "} \n"])
def test_flags_are_added_to_those_of_the_event_itself(flags: str, expected: dict[str, object], end: str) -> None:
    value = event("START", "m")[:-1] + (flags + end).encode()
    (made,) = sent(value, "START")
    assert json.loads(made.value or b"")["flags"] == expected


def test_an_event_of_which_only_flags_change_keeps_all_of_its_bytes() -> None:
    value = (
        b'{ "eid" : "START","context": {"did": "d"} ,"actor":{"id":"a", "type":"User"} ,"flags":{"ex_processed":true}}'
    )
    (made,) = sent_of(value, "START", Known("d", "a", None))
    flags = b'"flags":{"ex_processed":true,"pp_validation_processed":true,"pp_duplicate":false}}'
    assert made == Outgoing(PRIMARY, b"d", value[: value.index(b'"flags"')] + flags)


@pytest.mark.parametrize(
    ("id_", "expected"),
    [("f:5:abc", "5:abc"), ("f:", ""), ("F:1", "F:1"), ("of:1", "of:1"), ("\\u0066:1", "1"), ("f:f:1", "f:1")],
)
def test_a_leading_f_of_an_actors_id_is_removed(id_: str, expected: str) -> None:
    value = event("START", "m", actor={"id": "?", "type": "User"}).replace(b"?", id_.encode())
    assert json.loads(sent(value, "START")[0].value or b"")["actor"] == {"id": expected, "type": "User"}


@pytest.mark.parametrize(
    ("type_", "expected"), [("DialCode", "AB1"), ("qr", "AB1"), ("QR", "AB1"), ("Content", "ab1"), ("qrcode", "ab1")]
)
def test_the_ids_of_dialcodes_are_upper_case(type_: str, expected: str) -> None:
    value = event("SEARCH", "m", object={"id": "ab1", "type": type_, "n": 1})
    assert json.loads(sent(value, "SEARCH")[0].value or b"")["object"] == {"id": expected, "type": type_, "n": 1}


def test_a_share_has_an_item_for_each_param_with_an_id_of_its_own() -> None:
    items = [
        {"id": "i1", "type": "Content", "ver": "2", "params": [{"transfers": 0, "size": 5}, {"transfers": 3}]},
        {"id": "i2", "type": "Content"},
        {"id": "i3", "type": "Content", "params": [{}, {"transfers": 0.0}]},
    ]
    value = event("SHARE", "m", edata={"dir": "In", "type": "File", "items": items}, object={"id": "o"})
    parent, *children = sent(value, "SHARE")
    assert parent.topics == PRIMARY
    assert {child.topics for child in children} == {SECONDARY}
    found = [json.loads(child.value or b"") for child in children]
    assert [(child["object"]["id"], child["edata"]["type"]) for child in found] == [
        ("i1", "download"), ("i1", "import"), ("i3", "import"), ("i3", "download"),
    ]  # fmt: skip
    assert found[0]["object"] == {"id": "i1", "type": "Content", "ver": "2", "rollup": {"l1": "o"}}
    assert found[0]["edata"] == {"transfers": 0, "size": 5, "dir": "In", "type": "download"}
    assert {child["eid"] for child in found} == {"SHARE_ITEM"}
    assert len({child["mid"] for child in found}) == 4
    of_others = sent(value.replace(b'"mid": "m"', b'"mid": "n"'), "SHARE")[1:]
    assert not {child["mid"] for child in found} & {json.loads(other.value or b"")["mid"] for other in of_others}


@pytest.mark.parametrize("edata", [{"items": 5}, {"items": [5, {"params": 5}, {"params": [5]}]}, {}, 5])
def test_what_a_schema_of_a_users_own_lets_pass_is_sent(edata: object) -> None:
    assert sent(event("SHARE", "m", edata=edata, actor=..., object=[]), "SHARE")[0].topics == PRIMARY


def test_an_invalid_event_fails_as_it_came_with_all_that_it_violates() -> None:
    failed = failed_event(event("START", "m"), "START breaks its schema", ["a", "b"])
    assert json.loads(failed.value or b"") == {
        **json.loads(event("START", "m")),
        "flags": {"pp_validation_processed": False},
        "metadata": {"validation_error": ["a", "b"], "src": "PipelinePreprocessor"},
    }
    assert (failed.topics, failed.key, failed.reason) == ((topics.FAILED,), b"device-1", "START breaks its schema")
    for value in (None, b"", b"[1]"):
        assert failed_event(value, "not JSON") == Outgoing((topics.FAILED,), None, value, "not JSON")


def test_a_duplicate_is_flagged() -> None:
    made = duplicate(event("START", "m", flags={"ex_processed": True, "pp_duplicate": False}), "pp_duplicate")
    assert json.loads(made.value or b"")["flags"] == {"ex_processed": True, "pp_duplicate": True}
    assert made.topics == (topics.DUPLICATE,)
