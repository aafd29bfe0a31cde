"""Messages that are not canonical, each read by itself: good after all, or what exactly is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn, TypeGuard

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import ArrayType, StringType, StructField

from bytemeter.feeds.feed import Feed

MOST_CHARACTERS = 512
_INT64 = range(-(2**63), 2**63)


def single_fields(feed: Feed, values: Sequence[bytes | None]) -> pa.Table:
    """The fields of messages, all null where something is wrong, and reason: string, what it is (null if nothing)."""
    rows = [_read(feed, value) for value in values]
    schema = to_arrow_schema(feed.schema)
    nullable = pa.schema([field.with_nullable(nullable=True) for field in schema] + [pa.field("reason", pa.string())])
    return pa.Table.from_pylist(rows, nullable)


def _read(feed: Feed, value: bytes | None) -> dict[str, Any]:
    try:
        told = _object(value)
        return {field.name: _checked(field, told.get(field.name)) for field in feed.schema}
    except _MalformedError as error:
        return {"reason": str(error)}


class _MalformedError(Exception):
    """What is wrong with a message."""


def _object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise _MalformedError("tombstone")
    try:
        told = _JSON.decode(value.decode())
    except UnicodeDecodeError:
        raise _MalformedError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise _MalformedError("not JSON") from None
    if not isinstance(told, dict):
        raise _MalformedError("not a JSON object")
    return told


def _checked(field: StructField, value: Any) -> Any:
    """The value, if it is one of the field."""
    if value is None:
        if not field.nullable:
            raise _MalformedError(f"missing {field.name}")
        return None
    if isinstance(field.dataType, ArrayType):
        if not isinstance(value, list) or not all(one is None or _is_whole(one) for one in value):
            raise _MalformedError(f"{field.name} is not a list of whole numbers")
        return value
    return _text(field.name, value) if isinstance(field.dataType, StringType) else _number(field.name, value)


def _number(name: str, value: Any) -> int:
    if not _is_whole(value):
        # A boolean is an int to Python.
        number = type(value) in (int, float)
        raise _MalformedError(f"fractional or too large {name}" if number else f"{name} is not a whole number")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _MalformedError(f"{name} is not a text")
    if not value:
        raise _MalformedError(f"empty {name}")
    if len(value) > MOST_CHARACTERS:
        raise _MalformedError(f"{name} over {MOST_CHARACTERS} characters")
    if "\0" in value:
        raise _MalformedError(f"NUL in {name}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        # An escaped half of a character: JSON allows it, UTF-8 and PostgreSQL do not.
        raise _MalformedError(f"half a character in {name}")
    return value


def _is_whole(value: Any) -> TypeGuard[int]:
    return type(value) is int and value in _INT64


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# NaN and Infinity are Python's, not JSON's.
_JSON = json.JSONDecoder(parse_constant=_refuse)
