"""Of an event with very many violations only so many are looked for as are listed, and the list is the same."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from random import Random
from typing import Any

import jsonschema_rs
import pytest

from bytemeter.feeds.telemetry import EIDS
from bytemeter.telemetry import validating
from bytemeter.telemetry.schema_files import ours
from bytemeter.telemetry.validating import MOST_VIOLATIONS, Compiled, compiled
from tests.telemetry_events import document, encoded, generated, mutated

MANY = 20_000


def errors_made(judge: Compiled, value: bytes) -> int:
    """How many errors jsonschema-rs makes of an event; one that is left out is in no list."""
    made: list[list[Any]] = []

    def errors(of: Any) -> Any:
        made.append(list(judge.errors(of)))
        return iter(made[0])

    listed = replace(judge, errors=errors).violations(value)
    assert len(listed) == MOST_VIOLATIONS + 1
    return len(made[0])


@pytest.mark.parametrize(
    ("eid", "changes"),
    [
        ("START", {"tags": [1] * MANY}),
        ("START", {"tags": ["a"] * MANY + [1] * MANY}),
        ("START", {"context": {**document("START")["context"], "cdata": [{"more": 1}] * MANY}}),
        ("SHARE", {"edata": {"items": [{"params": [1] * 500, "id": 1}] * 100}}),
    ],
)
def test_few_more_errors_are_made_than_are_listed(eid: str, changes: dict[str, Any]) -> None:
    value = encoded(document(eid, **changes))
    assert errors_made(compiled(ours(eid)), value) <= 2 * MOST_VIOLATIONS


@pytest.mark.parametrize("eid", EIDS)
def test_the_list_is_that_of_the_whole_event(eid: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "MOST_VIOLATIONS", 3)
    monkeypatch.setattr(validating, "_MANY_BYTES", 0)
    random, judge = Random(f"{seed} {eid}"), compiled(ours(eid))
    longer = 0
    for _ in range(200):
        value = encoded(_grown(random, mutated(random, generated(random, eid))))
        expected = replace(judge, shape=None).violations(value)
        assert judge.violations(value) == expected, value
        longer += len(expected) > 3
    assert longer


def _grown(random: Random, value: Any) -> Any:
    """A value whose arrays have a random number of copies of their items, some items spoiled."""
    if isinstance(value, dict):
        return {name: _grown(random, member) for name, member in value.items()}
    if not isinstance(value, list):
        return value
    items = [_grown(random, item) for item in [*value, 5, {}, {"id": 5, "odd": 1}] for _ in range(random.randrange(5))]
    random.shuffle(items)
    return copy.deepcopy(items)


@pytest.mark.parametrize(
    "tags",
    [
        {"type": "array", "items": {"type": "string"}, "maxItems": 4},
        {"type": "array", "items": {"type": "string"}, "contains": {"const": "last"}},
        {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "object"}]}},
        {"type": ["array", "null"], "items": {"type": "string", "maxLength": 3}},
        {"type": "array", "items": {"type": "string", "not": {"$ref": "#/$defs/short"}}},
    ],
)
def test_an_array_that_a_schema_speaks_of_as_a_whole_is_not_cut(
    tags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validating, "MOST_VIOLATIONS", 3)
    monkeypatch.setattr(validating, "_MANY_BYTES", 0)
    schema = {"type": "object", "properties": {"tags": tags}, "$defs": {"short": {"maxLength": 2}}}
    judge = compiled(json.dumps(schema))
    for value in ([1] * 9, [*[1] * 9, "last"], ["a"] * 9, ["four"] * 9, None):
        expected = [error.kind.name for error in jsonschema_rs.validator_for(schema).iter_errors({"tags": value})]
        found = [violation["violates"] for violation in judge.violations(encoded({"tags": value}))]
        assert sorted(found) == sorted(expected[:4])
