"""The reference reader: one message at a time by Python's json module, either its fields or what is wrong with it.

Its verdict is final. The fast decoder (``bytemeter.parsing.structs``) may only accept messages that this reader
accepts, with the same values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal as Exact
from typing import Any, NoReturn, TypeGuard

from bytemeter.feeds.fields import Decimal, Field, FieldType, Number, Text, Whole, WholeList

REASON = "reason"
_INT64 = range(-(2**63), 2**63)
# Deeper documents are refused (RFC 8259, section 9, lets a reader limit the depth). Python's own limit depends on how
# deep its caller is: the live query and the history query could disagree about a message.
MOST_NESTED = 500
# A string, also one that is cut off, or a bracket outside of strings. Possessive, as it never has to go back: otherwise
# the matcher remembers each character of a string, 120 bytes for one.
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)
# Longer whole numbers are kept as text: Python would refuse to read one of over 4,300 digits.
_DIGITS_OF_INT64 = 19


def read_single(fields: tuple[Field, ...], value: bytes | None) -> dict[str, Any]:
    """The fields of a message by name; of a malformed message only ``reason``, what is wrong with it.

    Of a member that occurs twice in an object the last one counts, as in RFC 8259, section 4, most readers do.
    """
    try:
        document = _object(value)
        return {field.name: _checked(field, _at(document, field.path)) for field in fields}
    except _MalformedError as error:
        return {REASON: str(error)}


class _MalformedError(Exception):
    """What is wrong with a message."""


@dataclass(frozen=True)
class _Written:
    """A number as it is written: one with a fraction, with an exponent, or with more than 19 digits."""

    text: str


def _object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise _MalformedError("tombstone")
    if _is_too_deep(value):
        raise _MalformedError("not JSON")
    try:
        document = _JSON.decode(value.decode())
    except UnicodeDecodeError:
        raise _MalformedError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise _MalformedError("not JSON") from None
    if not isinstance(document, dict):
        raise _MalformedError("not a JSON object")
    return document


def _is_too_deep(value: bytes) -> bool:
    if value.count(b"{") + value.count(b"[") <= MOST_NESTED:
        return False
    depth = 0
    for bracket in _BRACKETS.finditer(value):
        depth += (bracket.group(1) is not None) - (bracket.group(2) is not None)
        if depth > MOST_NESTED:
            return True
    return False


def _at(document: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path; None if a member on the path is missing or null."""
    value: Any = document
    for depth, member in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _MalformedError(f"{'.'.join(path[:depth])} is not an object")
        value = value.get(member)
    return value


def _checked(field: Field, value: Any) -> Any:
    """The value, if the field may hold it."""
    if value is None or _stands_for_null(field.type, value):
        if field.required:
            raise _MalformedError(f"missing {field.name}")
        return None
    return _CHECKS[type(field.type)](field, value)


def _stands_for_null(type_: FieldType, value: Any) -> bool:
    match type_:
        case Text(empty_is_null=True):
            return bool(value == "")
        case Number(others_are_null=True):
            return _double(value) is None
    return False


def _whole(field: Field, value: Any) -> int:
    if not _is_whole(value):
        # A boolean is an int to Python.
        is_number = type(value) in (int, _Written)
        reason = f"fractional or too large {field.name}" if is_number else f"{field.name} is not a whole number"
        raise _MalformedError(reason)
    return value


def _wholes(field: Field, value: Any) -> list[int | None]:
    if not isinstance(value, list) or not all(item is None or _is_whole(item) for item in value):
        raise _MalformedError(f"{field.name} is not a list of whole numbers")
    return value


def _text(field: Field, value: Any) -> str:
    name, most = field.name, field.type.max_length if isinstance(field.type, Text) else 0
    if not isinstance(value, str):
        raise _MalformedError(f"{name} is not a text")
    if not value:
        raise _MalformedError(f"empty {name}")
    if len(value) > most:
        raise _MalformedError(f"{name} over {most} characters")
    if "\0" in value:
        raise _MalformedError(f"NUL in {name}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        # JSON allows an escaped half of a surrogate pair, UTF-8 and PostgreSQL do not.
        raise _MalformedError(f"half a character in {name}")
    return value


_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?")


def _decimal(field: Field, value: Any) -> Exact:
    limits = field.type if isinstance(field.type, Decimal) else Decimal()
    text = value.text if isinstance(value, _Written) else str(value) if type(value) is int else value
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _MalformedError(f"{field.name} is not a decimal number")
    digits, decimals = match.groups()
    if len(digits) > limits.digits:
        raise _MalformedError(f"{field.name} over {limits.digits} digits")
    if len(decimals or "") > limits.scale:
        raise _MalformedError(f"{field.name} over {limits.scale} decimals")
    return Exact(text)


def _number(field: Field, value: Any) -> float:
    number = _double(value)
    if number is None:
        is_number = type(value) in (int, _Written)
        raise _MalformedError(f"{field.name} {'out of range' if is_number else 'is not a number'}")
    return number


def _double(value: Any) -> float | None:
    """The nearest double of a number as it was read; None of all else, and beyond all doubles."""
    if type(value) is int or isinstance(value, _Written):
        number = float(value.text if isinstance(value, _Written) else value)
        # Of the two zeros one: equal numbers have the same bytes.
        return number + 0.0 if math.isfinite(number) else None
    return None


_CHECKS: Mapping[type, Callable[[Field, Any], Any]] = {
    Text: _text,
    Whole: _whole,
    WholeList: _wholes,
    Decimal: _decimal,
    Number: _number,
}


def _is_whole(value: Any) -> TypeGuard[int]:
    return type(value) is int and value in _INT64


def _read_whole(text: str) -> int | _Written:
    return int(text) if len(text) <= _DIGITS_OF_INT64 + 1 else _Written(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# NaN and Infinity are Python's, not JSON's.
_JSON = json.JSONDecoder(parse_constant=_refuse, parse_int=_read_whole, parse_float=_Written)
