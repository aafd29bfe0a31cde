"""Schemas of the field's own interfaces: ours, and the published definitions where they lie beside the checkout."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

OURS = Path(__file__).parent / "serving" / "api" / "schemas"
# Beside the checkout; the project runs and is tested without it.
PUBLISHED = Path(__file__).parents[2] / "shared" / "telecom"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_FORMATS = FormatChecker(())
Faults = Callable[[str, Any], list[str]]


@_FORMATS.checks("date-time", ValueError)
def _is_instant(value: object) -> bool:
    """RFC 3339: with an offset."""
    if isinstance(value, str):
        dt.datetime.fromisoformat(value.upper())
    return not isinstance(value, str) or _INSTANT.fullmatch(value) is not None


def ours(name: str) -> Faults:
    """What is wrong with a document by one of the definitions in our own words, such as ``tmf677``."""
    schema = json.loads((OURS / f"{name}.json").read_text())

    def faults(definition: str, document: Any) -> list[str]:
        asked = {**schema, "$ref": f"#/$defs/{definition}"}
        return _faults(Draft202012Validator(asked, format_checker=_FORMATS), document)

    return faults


def published(name: str) -> Faults:
    """The same by a schema of a published OpenAPI file; skips the test where it is missing."""
    if not (PUBLISHED / name).is_file():
        pytest.skip(f"{name} as published is not there; our own schemas of it are tested all the same")
    registry: Registry[Any] = Registry(retrieve=_retrieve)  # type: ignore[call-arg]

    def faults(definition: str, document: Any) -> list[str]:
        reference = {"$ref": f"{name}#/components/{definition}"}
        return _faults(Draft4Validator(reference, registry=registry, format_checker=_FORMATS), document)

    return faults


def _retrieve(uri: str) -> Resource[Any]:
    # OpenAPI 3.0 is near Draft 4: references stand alone. Files refer to each other by other folders than they lie in.
    return Resource.from_contents(
        yaml.load((PUBLISHED / Path(uri).name).read_text(), yaml.CSafeLoader), default_specification=DRAFT4
    )


def _faults(validator: Any, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]
