"""Holds a resource against the provider's schema: attribute -> [type, required | optional | computed], or a block."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra.configuration import Body, attributes, is_block, unquoted

# Beside the checkout; the project runs and is tested without it.
SCHEMA = Path(__file__).parents[3] / "shared" / "terraform" / "google-schema.json"
# What Terraform itself takes in each resource.
META = frozenset({"count", "for_each", "provider", "depends_on", "lifecycle"})
_KINDS = {"list": list, "set": list, "map": dict}


@cache
def provider_schema() -> dict[str, dict[str, Body]]:
    """``{"resources": {type: schema}, "data": {type: schema}}``; skips the test where the file is missing."""
    if not SCHEMA.is_file():
        pytest.skip(f"{SCHEMA.name} of the provider is not there; terraform validate needs the provider itself")
    loaded: dict[str, dict[str, Body]] = json.loads(SCHEMA.read_text())
    return loaded


def faults(body: Body, schema: Body, where: str) -> Iterator[str]:
    """A line for each attribute or block that the provider would refuse."""
    given: dict[str, int] = {}
    for name, value in attributes(body).items():
        if name == "dynamic":
            for dynamic in value:
                for label, generated in attributes(dynamic).items():
                    yield from _block(unquoted(label), generated["content"], schema, where, given)
        elif name in schema and isinstance(schema[name], dict):
            yield from _block(name, value, schema, where, given)
        else:
            yield from _attribute(name, value, schema.get(name), where)
    yield from _missing(body, schema, where, given)


def _block(name: str, value: Any, schema: Body, where: str, given: dict[str, int]) -> Iterator[str]:
    specification = schema.get(name)
    if not isinstance(specification, dict):
        yield f"{where}: has no block {name}"
    elif not is_block(value):
        yield f"{where}: {name} is a block, not an attribute"
    else:
        given[name] = given.get(name, 0) + len(value)
        if specification["max"] and given[name] > specification["max"]:
            yield f"{where}: {given[name]} blocks {name}, at most {specification['max']}"
        for nested in value:
            yield from faults(nested, specification["block"], f"{where}.{name}")


def _attribute(name: str, value: Any, specification: list[Any] | None, where: str) -> Iterator[str]:
    if specification is None:
        yield f"{where}: has no attribute {name}"
    elif specification[1] == "computed":
        yield f"{where}: {name} is computed by the provider"
    elif "deprecated" in specification:
        yield f"{where}: {name} is deprecated"
    elif is_block(value) or not _fits(value, specification[0]):
        yield f"{where}: {name} is a {specification[0]}, not {value!r}"


def _missing(body: Body, schema: Body, where: str, given: dict[str, int]) -> Iterator[str]:
    for name, specification in schema.items():
        if isinstance(specification, list) and specification[1] == "required" and name not in body:
            yield f"{where}: lacks {name}"
        if isinstance(specification, dict) and given.get(name, 0) < specification["min"]:
            yield f"{where}: lacks the block {name}"


def _fits(value: Any, kind: str | list[Any]) -> bool:
    """Whether a literal has the type; what an expression gives is known only to Terraform."""
    if isinstance(value, str) and value.startswith('"'):
        return kind == "string"
    if isinstance(value, str) or value is None:
        return True
    if isinstance(kind, list):
        return isinstance(value, _KINDS[kind[0]])
    return isinstance(value, bool) if kind == "bool" else kind == "number" and isinstance(value, int | float)
