"""Decoders that accept an event only if a JSON Schema does: msgspec Structs, made of the schema.

They are several times as fast as jsonschema-rs on decoded events. A decoder never accepts an invalid event. It may
refuse a valid one, such as one with a member twice: then jsonschema-rs decides (``bytemeter.telemetry.validating``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

try:
    import msgspec
except ImportError:
    # Executors need it for telemetry alone: without it jsonschema-rs judges all events.
    msgspec = None  # type: ignore[assignment]

AVAILABLE = msgspec is not None
# What decoders raise.
REFUSED: tuple[type[Exception], ...] = (msgspec.MsgspecError, RecursionError) if AVAILABLE else ()
# A JSON Schema; all of ours are objects.
Schema = Mapping[str, Any]
Resolve = Callable[[str], Schema]

_SAYS_NOTHING = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "examples"})
_LIMITS = {"minLength": "min_length", "maxLength": "max_length", "minimum": "ge"}
# The one pattern of which no event needs to be asked: see ``escapes`` in ``validating``.
WITHOUT_NUL = "^[^\\u0000]*$"


class NotExactError(Exception):
    """The schema has a keyword whose meaning no Struct has."""


def accepting(schema: Schema, resolve: Resolve) -> Callable[[bytes], Any] | None:
    """A decoder that raises ``msgspec.MsgspecError`` for each event that the schema does not accept.

    It may be asked only about events without escaped NUL and without escaped halves of surrogate pairs.

    Args:
        resolve: the schema at a reference.

    Returns:
        None if the schema says what no Struct can say, or without msgspec.
    """
    if not AVAILABLE:
        return None
    try:
        return msgspec.json.Decoder(_type(schema, resolve)).decode
    except (NotExactError, RecursionError, KeyError):
        return None


def _type(schema: Schema, resolve: Resolve) -> Any:
    if not isinstance(schema, Mapping):
        raise NotExactError
    merged = with_references(schema, resolve)
    if options := merged.pop("enum", None):
        return _literal(options, merged)
    match merged.pop("type", None):
        case "object":
            return _struct(merged, resolve)
        case "array":
            items = merged.pop("items", None)
            item: Any = msgspec.Raw if items is None else _type(items, resolve)
            if _is_empty(merged):
                return list[item]
        case "string":
            if merged.pop("pattern", WITHOUT_NUL) != WITHOUT_NUL:
                raise NotExactError
            return _limited(str, merged)
        case "number":
            return _limited(float, merged)
    raise NotExactError


def with_references(schema: Schema, resolve: Resolve) -> dict[str, Any]:
    """The schema with what it refers to, in one object."""
    merged = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING}
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    if (reference := merged.pop("$ref", None)) is None:
        return merged
    referred = with_references(resolve(reference), resolve)
    properties = _joined(referred.pop("properties", {}), merged.pop("properties", {}))
    required = list(dict.fromkeys([*referred.pop("required", ()), *merged.pop("required", ())]))
    joined = _joined(referred, merged)
    return joined | ({"properties": properties} if properties else {}) | ({"required": required} if required else {})


def _joined(first: Schema, second: Schema) -> dict[str, Any]:
    if first.keys() & second.keys():
        # Both have to hold.
        raise NotExactError
    return {**first, **second}


def _literal(options: list[Any], others: Schema) -> Any:
    if others or not all(isinstance(option, str) for option in options):
        raise NotExactError
    return Literal[tuple(options)]


def _struct(schema: dict[str, Any], resolve: Resolve) -> Any:
    properties, required = schema.pop("properties", {}), schema.pop("required", [])
    others = schema.pop("additionalProperties", True)
    if not _is_empty(schema) or not isinstance(others, bool):
        raise NotExactError
    types = {name: _type(of_member, resolve) for name, of_member in properties.items()}
    if others:
        types |= {name: msgspec.Raw for name in required if name not in types}
    elif not types.keys() >= set(required):
        raise NotExactError
    attributes = [
        (f"f{index}", type_) if name in required else (f"f{index}", type_ | msgspec.UnsetType, msgspec.UNSET)
        for index, (name, type_) in enumerate(types.items())
    ]
    # Attributes are f0, f1, ...: a member's name can be any text.
    names = {f"f{index}": name for index, name in enumerate(types)}
    return msgspec.defstruct(
        "Members", attributes, rename=names, kw_only=True, gc=False, frozen=True, forbid_unknown_fields=not others
    )


def _limited(type_: Any, limits: Schema) -> Any:
    if not limits.keys() <= _LIMITS.keys():
        raise NotExactError
    return Annotated[type_, msgspec.Meta(**{_LIMITS[key]: limit for key, limit in limits.items()})] if limits else type_


def _is_empty(schema: Schema) -> bool:
    if schema:
        raise NotExactError
    return True
