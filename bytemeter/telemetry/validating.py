"""Events held against the JSON Schema of their kind, many at a time; runs on executors and in the collector.

An event that msgspec accepts (``bytemeter.telemetry.accepting``) is valid; jsonschema-rs judges all others and says
what is wrong with them. Both are compiled once in each process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, NotRequired, TypedDict

import pyarrow as pa

from bytemeter.errors import BytemeterError
from bytemeter.telemetry import sharing
from bytemeter.telemetry.accepting import REFUSED, accepting
from bytemeter.telemetry.documents import MOST_LEVELS, pointer, read, whole
from bytemeter.telemetry.schema_files import PARTS_URI, ours, parts
from bytemeter.telemetry.shortening import Shape, shape, shorten

# msgspec does not look into members that it skips, and a Struct knows no NUL.
_ESCAPES = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
# Of these keywords the error tells what was expected.
_TELLING = frozenset(
    {
        *("type", "const", "enum", "pattern", "format", "minLength", "maxLength", "minItems", "maxItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
)
# Keywords about members that should not be there.
_OF_OTHERS = ("additionalProperties", "unevaluatedProperties")
HALF = "half a character"
_MOST_IN_REASON = 5
# Of one event: a list of all would be larger than the event.
MOST_VIOLATIONS = 500
# An event of fewer bytes has few violations.
_MANY_BYTES = 16_384


class Violation(TypedDict):
    """What is wrong at one place of an event, without the event's values: an object that JSON can hold.

    Attributes:
        pointer: the place, as a JSON pointer (RFC 6901). Of a missing member, where it would be.
        violates: the keyword of the schema, or another rule in words.
        expected: what the keyword says, where that is short.
    """

    pointer: str
    violates: str
    expected: NotRequired[Any]


@dataclass(frozen=True)
class SchemaValidator:
    """Judges events of one kind (see ``bytemeter.feeds.Kinds``). Spark pickles it: it holds the schema as text alone.

    Attributes:
        eid: the kind.
        schema: a user's schema as JSON; None for ours.
    """

    eid: str
    schema: str | None = None

    def __call__(self, records: pa.Table) -> pa.Array:
        """The reason of each event, null of valid ones.

        Args:
            records: rows of value: binary, events that the parser has read: JSON objects in UTF-8, not too deep.
        """
        judge = self._compiled()
        values = records.column("value").to_pylist()
        reasons = [judge.reason(value) for value in values]
        if self.eid == sharing.SHARE:
            reasons = [reason or _shares_too_much(value) for reason, value in zip(reasons, values, strict=True)]
        return pa.array(reasons, pa.string())

    def violations(self, value: bytes) -> list[Violation]:
        """All that is wrong with an event, in the order of the pointers; none if it is valid.

        Of more than ``MOST_VIOLATIONS`` so many, and a last one that says that there are more.

        Raises:
            ValueError: it is not JSON.
        """
        found = self._compiled().violations(value)
        if len(found) > MOST_VIOLATIONS:
            return [*found[:MOST_VIOLATIONS], Violation(pointer="", violates="and more")]
        if not found and self.eid == sharing.SHARE and (excess := sharing.refused(value)):
            return [Violation(pointer=sharing.PLACE, violates=excess)]
        return found

    def _compiled(self) -> Compiled:
        try:
            return compiled(ours(self.eid) if self.schema is None else self.schema)
        except ImportError:
            raise BytemeterError(
                "telemetry is validated by jsonschema-rs, which this Python lacks; install the packages that "
                "requirements/executor.txt locks on each executor"
            ) from None


@dataclass(frozen=True)
class Compiled:
    """A schema, compiled.

    Attributes:
        members: the names of the members that the schema knows.
        errors: jsonschema-rs' errors of a decoded event.
        accept: a decoder that accepts valid events alone; None if the schema has no such decoder.
        shape: by which events with very many violations are cut; None if the schema has none.
    """

    members: frozenset[str]
    errors: Callable[[Any], Iterator[Any]]
    accept: Callable[[bytes], Any] | None
    shape: Shape | None = None

    def reason(self, value: bytes) -> str | None:
        """Why an event is invalid: places and keywords, nothing that only this event has. None if it is valid."""
        if self.accept is not None and not _has_escapes(value):
            try:
                self.accept(value)
            except REFUSED:
                # What is wrong, if anything is, jsonschema-rs says.
                pass
            else:
                return None
        places = sorted({f"{self._place(found)}: {found['violates']}" for found in self.violations(value)})
        more = ["and more"] if len(places) > _MOST_IN_REASON else []
        return "; ".join(places[:_MOST_IN_REASON] + more) or None

    def violations(self, value: bytes) -> list[Violation]:
        """What is wrong with an event, in the order of the pointers: at most one more than ``MOST_VIOLATIONS``."""
        document = read(value)
        halves: list[str] = []
        if _has_escapes(value) or value.count(b"[") + value.count(b"{") > MOST_LEVELS:
            document, halves = whole(document, MOST_VIOLATIONS + 1)
        if self.shape is not None and len(value) > _MANY_BYTES:
            shorten(document, self.shape, MOST_VIOLATIONS + 1)
        found = [Violation(pointer=place, violates=HALF) for place in halves]
        of_schema = (violation for error in self.errors(document) for violation in _violations(error))
        found += islice(of_schema, MOST_VIOLATIONS + 1 - len(found))
        return sorted(found, key=lambda violation: (violation["pointer"], violation["violates"]))

    def _place(self, violation: Violation) -> str:
        """The pointer with * in place of indices, and of names that the schema does not know."""
        names = violation["pointer"].split("/")[1:]
        if violation["violates"] in _OF_OTHERS:
            names = names[:-1]
        return "/".join(["", *(name if name in self.members else "*" for name in names)])


def _shares_too_much(value: bytes) -> str | None:
    excess = sharing.refused(value)
    return f"{sharing.PLACE}: {excess}" if excess else None


def _has_escapes(value: bytes) -> bool:
    # Most events have no backslash, which is found out several times as fast as what follows one.
    return b"\\" in value and _ESCAPES.search(value) is not None


@lru_cache(256)
def compiled(schema: str) -> Compiled:
    """A schema, compiled once in each process.

    Raises:
        ValueError: it is not a JSON Schema, or refers to what is neither in it nor in our parts.
    """
    import jsonschema_rs

    document = json.loads(schema)
    registry = jsonschema_rs.Registry([(PARTS_URI, parts())])
    try:
        validator = jsonschema_rs.validator_for(document, registry=registry, offline=True)
    except jsonschema_rs.ValidationError as error:
        raise ValueError(f"not a JSON Schema: {error.message}") from None

    def resolve(reference: str) -> Any:
        uri, _, path = reference.partition("#")
        found = {"": document, PARTS_URI: parts()}[uri]
        for name in path.split("/")[1:]:
            if not isinstance(found, dict):
                # A place in an array: jsonschema-rs finds it, and judges alone.
                raise KeyError(reference)
            found = found[name]
        return found

    def judge(scalar: Mapping[str, Any]) -> Callable[[Any], bool]:
        try:
            return jsonschema_rs.validator_for({**_draft(document), **scalar}, offline=True).is_valid
        except jsonschema_rs.ReferencingError as error:
            raise ValueError(str(error)) from None

    names = _members(document) | _members(parts())
    accept, its_shape = accepting(document, resolve), shape(document, resolve, judge)
    return Compiled(names, validator.iter_errors, accept, its_shape)


def _draft(schema: Any) -> dict[str, Any]:
    return {"$schema": schema["$schema"]} if "$schema" in schema else {}


def _violations(error: Any) -> list[Violation]:
    """What an error of jsonschema-rs is about: each missing or unexpected member by itself."""
    path, kind = list(error.instance_path), error.kind
    if kind.name == "required":
        return [Violation(pointer=pointer([*path, kind.property]), violates=kind.name)]
    if kind.name in _OF_OTHERS:
        return [Violation(pointer=pointer([*path, name]), violates=kind.name) for name in kind.unexpected]
    found = Violation(pointer=pointer(path), violates=kind.name)
    if kind.name in _TELLING:
        expected = kind.value
        found["expected"] = expected[0] if isinstance(expected, list) and len(expected) == 1 else expected
    return [found]


def _members(schema: Any) -> frozenset[str]:
    """The names of all members that a schema has properties for."""
    if isinstance(schema, list):
        return frozenset().union(*map(_members, schema))
    if not isinstance(schema, dict):
        return frozenset()
    properties = schema.get("properties")
    names = frozenset(properties) if isinstance(properties, dict) else frozenset()
    required = schema.get("required")
    names |= frozenset(map(str, required)) if isinstance(required, list) else frozenset()
    return names.union(*map(_members, schema.values()))
