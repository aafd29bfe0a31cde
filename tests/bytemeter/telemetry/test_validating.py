"""Events are valid if their schema says so, whichever way is taken to find out; each violation has its place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from bytemeter.errors import BytemeterError
from bytemeter.feeds import TELEMETRY, with_schemas
from bytemeter.feeds.telemetry import EIDS, UNKNOWN_EID
from bytemeter.parsing import parse
from bytemeter.telemetry import accepting, validating
from bytemeter.telemetry.schema_files import ours, read_folder
from bytemeter.telemetry.validating import HALF, MOST_VIOLATIONS, SchemaValidator, Violation, compiled
from tests import telemetry_events
from tests.messages import messages
from tests.telemetry_events import document, encoded, generated, mutated

SAFARI = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$ref": "bytemeter:telemetry/parts#/$defs/event",
    "properties": {
        "eid": {"const": "SAFARI"},
        "edata": {"type": "object", "required": ["animal"], "properties": {"animal": {"enum": ["lion", "okapi"]}}},
    },
}


def reasons(*values: bytes | dict[str, Any], feed: Any = TELEMETRY) -> list[str | None]:
    found = parse(feed, messages(*(value if isinstance(value, bytes) else encoded(value) for value in values)))
    of_rows: list[str | None] = found.column("reason").to_pylist()
    return of_rows


def violations(eid: str, value: bytes | dict[str, Any]) -> list[Violation]:
    return SchemaValidator(eid).violations(value if isinstance(value, bytes) else encoded(value))


def test_there_is_a_schema_and_a_fast_way_for_each_kind_and_a_good_event_of_it() -> None:
    assert list(EIDS) == telemetry_events.EIDS
    assert reasons(*map(document, EIDS)) == [None] * len(EIDS)
    assert [eid for eid in EIDS if compiled(ours(eid)).accept is None] == []


def test_good_events_take_the_fast_way(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(validating, "read", lambda _: pytest.fail("read by Python's json"))
    random = Random(seed)
    for eid in EIDS:
        values = [encoded(document(eid)), *(encoded(generated(random, eid)) for _ in range(20))]
        assert SchemaValidator(eid)(pa.table({"value": values})).null_count == len(values)


@pytest.mark.parametrize("eid", EIDS)
def test_the_fast_way_accepts_nothing_that_the_schema_refuses(eid: str, seed: int) -> None:
    random, judge = Random(f"{seed} {eid}"), compiled(ours(eid))
    accepted = 0
    for _ in range(400):
        value = encoded(mutated(random, generated(random, eid)))
        found = judge.violations(value)
        reason = judge.reason(value)
        assert (reason is None) == (found == []), value
        accepted += reason is None
    assert 0 < accepted < 400


def test_all_that_is_wrong_is_told_with_its_place() -> None:
    wrong = document("IMPRESSION", ver="2.0", actor={"id": 5, "type": "User"})
    wrong["edata"] = {
        "type": "view",
        "uri": "/",
        "a/b~c": 1,
        "visits": [{"objid": "o", "objtype": "t"}, {"objid": None}],
    }
    assert violations("IMPRESSION", wrong) == [
        {"pointer": "/actor/id", "violates": "type", "expected": "string"},
        {"pointer": "/edata/a~1b~0c", "violates": "additionalProperties"},
        {"pointer": "/edata/pageid", "violates": "required"},
        {"pointer": "/edata/visits/1/objid", "violates": "type", "expected": "string"},
        {"pointer": "/edata/visits/1/objtype", "violates": "required"},
        {"pointer": "/ver", "violates": "enum", "expected": ["3.0", "3.1"]},
    ]


def test_of_very_much_that_is_wrong_as_much_is_told_as_can_be_sent() -> None:
    many = violations("START", document("START", tags=[1] * 100_000))
    assert len(many) == MOST_VIOLATIONS + 1
    assert many[-1] == {"pointer": "", "violates": "and more"}
    assert reasons(document("START", tags=[1] * 100_000)) == ["/tags/*: type"]
    assert len(violations("START", document("START", tags=[1] * MOST_VIOLATIONS))) == MOST_VIOLATIONS
    far = document("INTERACT", edata={"type": "T", "id": "i", "extra": {"n" * 100_000: ["half"] * 1_000}})
    halves = violations("INTERACT", encoded(far).replace(b'"half"', rb'"\ud800"'))
    assert len(halves) == MOST_VIOLATIONS + 1
    assert halves[0] == {"pointer": ("/edata/extra/" + "n" * 1_000)[:1_000] + "…", "violates": HALF}


def test_a_reason_has_no_values_and_is_the_same_for_all_such_events() -> None:
    wrong = [document("SHARE", tags=[name] * place + [17]) for place, name in enumerate(["Ann", "Bob"])]
    for one, name in zip(wrong, ["Ann", "Bob"], strict=True):
        one["edata"][name] = "secret"
    assert reasons(*wrong) == ["/edata: additionalProperties; /tags/*: type"] * 2
    many = document("START", ver="1", tags=[1], actor={}, context={})
    assert reasons(many) == ["/actor/id: required; /actor/type: required; /context/channel: required; "
                             "/context/env: required; /context/pdata: required; and more"]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"eid": "NOBODY"}, UNKNOWN_EID),
        ({"eid": "start"}, UNKNOWN_EID),
        ({"ets": "1600545287123"}, "ets is not a number"),
        ({"mid": ""}, "empty mid"),
        ({"mid": "a\0"}, "NUL in mid"),
        ({"mid": None}, "/mid: type"),
        ({"object": None}, "/object: type"),
        ({"edata": []}, "edata is not an object"),
        ({"tags": ["\0"]}, None),
    ],
)
def test_the_feed_and_the_schema_judge_together(members: dict[str, Any], reason: str | None) -> None:
    assert reasons(document("START", **members)) == [reason]


def test_halves_of_characters_are_refused_wherever_they_are() -> None:
    good = encoded(document("INTERACT"))
    in_text, in_name = good.replace(b"1.5", rb'"\ud800"'), good.replace(b'"y"', rb'"\udc00"')
    both = good.replace(b'"play"', rb'"\ud83d\ude00"')
    assert reasons(in_text, in_name, both) == [f"/edata/extra/*/*/*: {HALF}", f"/edata/extra/*/*: {HALF}", None]
    assert violations("INTERACT", in_text) == [{"pointer": "/edata/extra/pos/0/x", "violates": HALF}]


def test_what_is_nested_deep_inside_a_free_object_is_judged_all_the_same() -> None:
    deep = encoded(document("INTERACT")).replace(b"1.5", b"[" * 400 + b"]" * 400)
    assert reasons(deep, deep.replace(b'"play"', b"5")) == [None, "/edata/id: type"]


@pytest.mark.parametrize("twice", [b'"id":"play","id":5', b'"id":5,"id":"play"'])
def test_of_a_member_that_is_there_twice_the_last_one_counts(twice: bytes) -> None:
    value = encoded(document("INTERACT")).replace(b'"id":"play"', twice)
    assert reasons(value) == [None if twice.endswith(b'"play"') else "/edata/id: type"]


def test_log_events_have_no_event_id() -> None:
    found = parse(TELEMETRY, messages(*(encoded(document(eid, mid="m")) for eid in ("LOG", "START", "ERROR"))))
    assert found.column("mid").to_pylist() == [None, "m", "m"]
    assert found.column("reason").null_count == 3


def test_a_user_adds_a_kind_by_a_file_and_mends_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "SAFARI.json").write_text(json.dumps(SAFARI))
    mended = json.loads(ours("INTERRUPT"))
    mended["properties"]["edata"]["properties"]["seconds"] = {"type": "number", "multipleOf": 0.5}
    (tmp_path / "INTERRUPT.json").write_text(json.dumps(mended))
    feed = with_schemas(TELEMETRY, read_folder(tmp_path))
    longer = [document("INTERRUPT", edata={"type": "CALL", "seconds": seconds}) for seconds in (1.5, 0.3)]
    safaris = [document("SAFARI", edata={"animal": animal}) for animal in ("okapi", "cat")]
    assert reasons(*longer, *safaris, document("NOBODY"), document("START"), feed=feed) == [
        None, "/edata/seconds: multipleOf", None, "/edata/animal: enum", UNKNOWN_EID, None,
    ]  # fmt: skip
    assert reasons(*longer, *safaris) == ["/edata: additionalProperties"] * 2 + [UNKNOWN_EID] * 2


def test_a_users_schema_may_refer_to_a_place_in_an_array(tmp_path: Path) -> None:
    edata = {"type": "object", "properties": {"animal": {"$ref": "#/$defs/animals/anyOf/1"}}}
    own: dict[str, Any] = {**SAFARI, "$defs": {"animals": {"anyOf": [{"enum": ["lion"]}, {"enum": ["okapi"]}]}}}
    own["properties"] = {"eid": {"const": "SAFARI"}, "edata": edata}
    (tmp_path / "SAFARI.json").write_text(json.dumps(own))
    safaris = [document("SAFARI", edata={"animal": animal}) for animal in ("okapi", "lion")]
    feed = with_schemas(TELEMETRY, read_folder(tmp_path))
    assert reasons(*safaris, feed=feed) == [None, "/edata/animal: enum"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", r"BAD\.json: Expecting property name .*; expected a JSON Schema of events"),
        ('{"type":"objec"}', r'BAD\.json: not a JSON Schema: "objec" is not valid'),
        ('{"$ref":"https://example.com/x.json"}', r"BAD\.json: not a JSON Schema: .*example\.com"),
        ('{"$ref":"bytemeter:telemetry/parts#/$defs/nothing"}', r"BAD\.json: not a JSON Schema: .*nothing"),
    ],
)
def test_a_file_that_is_no_schema_is_told_in_one_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "BAD.json").write_text(text)
    with pytest.raises(BytemeterError, match=complaint) as told:
        read_folder(tmp_path)
    assert "\n" not in str(told.value)


def test_a_python_without_jsonschema_rs_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    compiled.cache_clear()
    with pytest.raises(BytemeterError, match="jsonschema-rs, which this Python lacks; install the packages"):
        SchemaValidator("START")(pa.table({"value": [encoded(document("START"))]}))
    compiled.cache_clear()


def test_feeds_are_there_also_where_executors_have_neither_msgspec_nor_jsonschema_rs() -> None:
    lacking = "import sys; sys.modules.update(msgspec=None, jsonschema_rs=None); "
    judged = "from bytemeter.feeds import FEEDS; import speed_layer.executor.telemetry; print(len(FEEDS))"
    done = subprocess.run([sys.executable, "-c", lacking + judged], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_msgspec_jsonschema_rs_judges_all_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "AVAILABLE", False)
    compiled.cache_clear()
    assert reasons(document("START"), document("START", tags=[1])) == [None, "/tags/*: type"]
    compiled.cache_clear()
