"""Telemetry for tests: an event of each kind by hand, batches, events made from the schemas, and ways to spoil them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from bytemeter.telemetry.schema_files import PARTS_URI, ours, parts
from bytemeter.telemetry.stages import Known
from tests.messages import NOW_S

ETS = NOW_S * 1_000
EDATA: dict[str, dict[str, Any]] = {
    "START": {"type": "app", "loc": "29.97,77.59", "pageid": "splash"},
    "END": {"type": "app", "duration": 61.5, "summary": [{"progress": 100}]},
    "IMPRESSION": {"type": "view", "pageid": "library", "uri": "/library", "visits": [{"objid": "do_1", "objtype": "Content"}]},
    "INTERACT": {"type": "TOUCH", "id": "play", "pageid": "library", "extra": {"pos": [{"x": 1.5, "y": 2}]}},
    "ASSESS": {"item": {"id": "q1", "maxscore": 1}, "pass": "Yes", "score": 1, "resvalues": [{"1": "a"}], "duration": 12},
    "RESPONSE": {"target": {"id": "q1", "ver": "1", "type": "question"}, "type": "CHOOSE", "values": [{"1": "a"}]},
    "INTERRUPT": {"type": "CALL", "pageid": "library"},
    "FEEDBACK": {"rating": 4.5, "comments": "बहुत अच्छा"},
    "SHARE": {"dir": "Out", "type": "File", "items": [{"id": "do_1", "type": "CONTENT", "ver": "1", "params": [{"transfers": 0}]}]},
    "AUDIT": {"props": ["status"], "state": "Live", "prevstate": "Draft"},
    "ERROR": {"err": "500", "errtype": "SERVER", "stacktrace": "at main"},
    "LOG": {"type": "api_access", "level": "INFO", "message": "200", "params": [{"duration": 12}]},
    "SEARCH": {"query": "fractions", "size": 3, "topn": [{"do_1": 0.7}], "filters": {"grade": ["5"]}},
    "METRICS": {"system": "play", "subsystem": "db", "metrics": [{"metric": "latency", "value": 1.25}]},
    "SUMMARY": {"type": "session", "starttime": ETS, "endtime": ETS + 60_000, "timespent": 60, "pageviews": 3, "interactions": 9},
    "HEARTBEAT": {"state": {"up": True}},
    "EXDATA": {"type": "partnerdata", "data": "0KXQ"},
}  # fmt: skip
EIDS = list(EDATA)
_TEXTS = ["", "a", "id-1", "ż", "微信", "😀", "x" * 40, '"\\/', "http://example.org/a?b=c", "null", "3.0"]
_NUMBERS: list[int | float] = [0, -1, 7, 0.5, -2.25, 1e-7, 2**53 + 1, 10**30, 1.7e308]
_VALUES: list[Any] = [
    *(None, True, False, [], {}, "", "a", 0, -1, -1.5, 10**400, "3.2", "a\0b", "x" * 512, "x" * 513, "😀" * 512),
    *([None], [{}], ["a"], [[]], {"id": "a"}, {"id": 5}, {"type": "a", "id": "b"}, {"x": {"y": [1]}}),
]


def document(eid: str, /, mid: str = "m-1", **changes: Any) -> dict[str, Any]:
    """A valid event of a kind; a member of its first level that is changed to ``...`` is left out."""
    members: dict[str, Any] = {
        "eid": eid,
        "ets": ETS,
        "ver": "3.0",
        "mid": mid,
        "actor": {"id": "u-1", "type": "User"},
        "context": {
            "channel": "in.school",
            "env": "home",
            "pdata": {"id": "app", "ver": "1.0"},
            "sid": "s-1",
            "did": "device-1",
        },
        "edata": copy.deepcopy(EDATA.get(eid, {})),
        **changes,
    }
    return {name: value for name, value in members.items() if value is not ...}


def event(eid: str, mid: str, /, **changes: Any) -> bytes:
    """The same as a message, with spaces."""
    return json.dumps(document(eid, mid, **changes)).encode()


def batch(*events: bytes, **members: Any) -> bytes:
    """A batch of events, which stay byte for byte."""
    head = {"id": "batch", "ver": "3.0", "ets": ETS, "channel": "in.school", "pid": "app", **members}
    return json.dumps(head).encode()[:-1] + b', "events": [' + b",".join(events) + b"]}"


def nested(depth: int) -> bytes:
    """A list so deep."""
    return b"[" * depth + b"]" * depth


def encoded(document_: Any) -> bytes:
    """A document as producers write it, without spaces."""
    return json.dumps(document_, ensure_ascii=False, separators=(",", ":")).encode()


def generated(random: Random, eid: str) -> dict[str, Any]:
    """A valid event, made from our schema: which optional members it has, and what they hold, is random."""
    made: dict[str, Any] = _generated(random, json.loads(ours(eid)))
    made["ets"] = ETS + random.randrange(10**6) + random.choice([0, 0.25])
    return made


def mutated(random: Random, document_: dict[str, Any]) -> dict[str, Any]:
    """The event with one to three places changed, at random: it may be valid or not."""
    spoiled = copy.deepcopy(document_)
    for _ in range(random.choice([1, 1, 2, 3])):
        holder, key = random.choice(list(_places(spoiled)))
        match random.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                name = random.choice(["extra", "id", "type", "duration", "x/y~z", f"{key}s"])
                holder[name] = copy.deepcopy(random.choice(_VALUES))
            case _:
                holder[key] = copy.deepcopy(random.choice(_VALUES))
        if not spoiled:
            break
    return spoiled


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _generated(random: Random, schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        assert schema["$ref"].startswith(PARTS_URI)
        referred = parts()["$defs"][name]
        properties = {**referred.get("properties", {}), **schema.get("properties", {})}
        schema = {**referred, **{k: v for k, v in schema.items() if k != "$ref"}, "properties": properties}
    if "const" in schema or "enum" in schema:
        return random.choice(schema.get("enum") or [schema["const"]])
    match schema["type"]:
        case "object":
            return _object(random, schema)
        case "array":
            items = schema["items"]
            return [_generated(random, items) for _ in range(random.choice([0, 1, 1, 2]))]
        case "number":
            return random.choice([n for n in _NUMBERS if n >= schema.get("minimum", -(10**400))])
    return random.choice([text for text in _TEXTS if len(text) >= schema.get("minLength", 0)])


def _object(random: Random, schema: dict[str, Any]) -> dict[str, Any]:
    chosen = [
        name for name in schema.get("properties", {}) if name in schema.get("required", ()) or random.random() < 0.5
    ]
    random.shuffle(chosen)
    made = {name: _generated(random, schema["properties"][name]) for name in chosen}
    if schema.get("additionalProperties", True) and random.random() < 0.2:
        made["more"] = copy.deepcopy(random.choice([None, 5, "a", {"b": [1, {}]}, [], 10**400]))
    return made


def known(value: bytes) -> Known:
    """Device, actor and content, as the feed's fields have them."""
    document = json.loads(value)
    found = ((document.get(name) or {}, of) for name, of in (("context", "did"), ("actor", "id"), ("object", "id")))
    return Known(*(inner.get(of) or None for inner, of in found))
