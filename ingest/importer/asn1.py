"""Call detail records in ASN.1 into records of a feed, by their ASN.1 module and a mapping of fields."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bytemeter.errors import BytemeterError, first_line
from ingest.importer.call_records import BER, CallRecord, call_records
from ingest.importer.ids import LineIds
from ingest.importer.mapping import Layout
from ingest.importer.readers import Rows

_ROWS = 5_000
_TIMESTAMP_BYTES, _FILLER, _DIGITS = 9, 0xF, 10


def _text(values: Sequence[Any]) -> str:
    """Texts and numbers, several of them with slashes between them."""
    return "/".join(value.decode() if isinstance(value, bytes) else str(value) for value in values)


def _sum(values: Sequence[Any]) -> int:
    return sum(int(value) for value in values)


def _hex(values: Sequence[Any]) -> str:
    return bytes(values[0]).hex()


def _digits(values: Sequence[Any]) -> str:
    """TBCD: two digits in a byte, the first in its lower half; 15 fills up."""
    halves = [half for byte in bytes(values[0]) for half in (byte & 0xF, byte >> 4)]
    if halves and halves[-1] == _FILLER:
        halves.pop()
    if any(half >= _DIGITS for half in halves):
        raise ValueError("has other than decimal digits")
    return "".join(map(str, halves))


def _address(values: Sequence[Any]) -> str:
    """An AddressString: a byte that says what kind of number it is, and its digits."""
    return _digits([bytes(values[0])[1:]])


def _timestamp(values: Sequence[Any]) -> str:
    """YYMMDDhhmmss, the sign of the offset in ASCII, and hhmm of it; digits are halves of bytes, the higher first."""
    octets = bytes(values[-1])
    digits, offset, sign = octets[:6].hex(), octets[7:].hex(), octets[6:7]
    if len(octets) != _TIMESTAMP_BYTES or sign not in (b"+", b"-") or not (digits + offset).isdecimal():
        raise ValueError("is no TimeStamp of TS 32.298")
    year, month, day, hour, minute, second = (digits[place : place + 2] for place in range(0, 12, 2))
    return f"20{year}-{month}-{day}T{hour}:{minute}:{second}{sign.decode()}{offset[:2]}:{offset[2:]}"


# How the values that a field is made of become its cell.
_KINDS: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "text": _text,
    "sum": _sum,
    "hex": _hex,
    "digits": _digits,
    "address": _address,
    "timestamp": _timestamp,
}


@dataclass(frozen=True)
class _Field:
    """A field of the feed, the paths of the values that it is made of, and how."""

    name: str
    paths: tuple[tuple[str, ...], ...]
    kind: str


@dataclass(frozen=True)
class Schema:
    """What the records of files are, and what they become.

    Attributes:
        decode: the value of the type from its encoding, and the bytes that it takes.
        fields: of the feed.
    """

    decode: Callable[[bytes], tuple[Any, int]]
    fields: tuple[_Field, ...]

    def cells(self, data: bytes) -> list[Any]:
        """The cells of a record, in the order of ``fields``; None where it has no value.

        Raises:
            ValueError: it is not of the type, or a value not of its kind.
        """
        try:
            value, size = self.decode(data)
        except Exception as error:
            # Pure Python, which meets bytes of any kind: it may raise anything.
            raise ValueError(f"no record of the schema: {first_line(error) or type(error).__name__}") from None
        if size != len(data):
            raise ValueError(f"no record of the schema: {len(data) - size} bytes follow it")
        return [_cell(field, value) for field in self.fields]


def _cell(field: _Field, record: Any) -> Any:
    values = [value for path in field.paths for value in _values(record, path)]
    if not values:
        return None
    try:
        return _KINDS[field.kind](values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{field.name} is no {field.kind}: {values[-1]!r:.60} {error}") from None


def _values(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """The values at the end of a path: through members, alternatives of a CHOICE, and all elements of lists."""
    if isinstance(value, list):
        for element in value:
            yield from _values(element, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
    elif isinstance(value, tuple) and path[0] == value[0]:
        yield from _values(value[1], path[1:])


def schema_of(module: Path, mapping: Path, layout: Layout) -> Schema:
    """Read an ASN.1 module, and the mapping of its records to a feed.

    Raises:
        BytemeterError: one of the files cannot be used.
    """
    try:
        import asn1tools
    except ModuleNotFoundError:
        raise BytemeterError("--format asn1 needs asn1tools; pip install 'bytemeter[asn1]'") from None
    try:
        compiled = asn1tools.compile_files([str(module)], "ber")
    except (OSError, asn1tools.Error, UnicodeDecodeError) as error:
        raise BytemeterError(f"--schema: {module} is no ASN.1 module that can be read: {first_line(error)}") from None
    try:
        record, fields = _mapped(tomllib.loads(mapping.read_text()), layout, sorted(compiled.types))
    except (OSError, ValueError) as error:
        raise BytemeterError(f"--mapping: {mapping}: {first_line(error)}") from None
    return Schema(lambda data: compiled.decode_with_length(record, data), fields)


def _mapped(document: Mapping[str, Any], layout: Layout, types: list[str]) -> tuple[str, tuple[_Field, ...]]:
    record, given = document.get("record"), document.get("fields")
    if not isinstance(record, str) or not isinstance(given, dict):
        raise ValueError("expected record = 'TYPE', and a table [fields.NAME] for each field")  # noqa: TRY004
    if record not in types:
        raise ValueError(f"record is {record!r}; the types of the schema are {', '.join(types)}")
    known = [field.name for field in layout.feed.fields]
    for name in given:
        if name not in known:
            raise ValueError(f"the feed {layout.feed.name} has no field {name!r}; its fields are {', '.join(known)}")
    if layout.fields_of(list(given)) is None:
        raise ValueError(f"fields are {', '.join(given)}; the feed needs {', '.join(layout.columns)}")
    return record, tuple(_field(name, one) for name, one in given.items())


def _field(name: str, given: Any) -> _Field:
    paths, kind = (given.get("from"), str(given.get("as"))) if isinstance(given, dict) else (None, "")
    if not (isinstance(paths, list) and paths and all(isinstance(path, str) for path in paths)):
        raise ValueError(f"fields.{name}.from is {paths!r}; expected a list of paths, such as ['servedMSISDN']")
    if kind not in _KINDS:
        raise ValueError(f"fields.{name}.as is {kind!r}; expected one of {', '.join(_KINDS)}")
    return _Field(name, tuple(tuple(path.split(".")) for path in paths), kind)


def asn1_rows(content: Any, size: int, schema: Schema, layout: Layout, ids: LineIds) -> Iterator[Rows]:
    """The records of a content, some thousand at a time; a line is a record.

    Raises:
        UnreadableError: see ``call_records``.
    """
    names = [field.name for field in schema.fields]
    documents: list[bytes] = []
    refused: dict[int, str] = {}
    first = end = 0
    for record in call_records(content, size):
        first, end = first or record.number, record.end
        try:
            documents.append(layout.document(names, schema.cells(_ber(record)), ids(record.number)))
        except ValueError as error:
            refused[len(documents)] = str(error)
            documents.append(b"")
        if len(documents) == _ROWS:
            yield _rows(first, documents, refused, end)
            first, documents, refused = 0, [], {}
    if documents:
        yield _rows(first, documents, refused, end)


def _ber(record: CallRecord) -> bytes:
    if record.format != BER:
        raise ValueError(f"its data has the format {record.format}; expected {BER}, which is BER")
    return record.data


def _rows(first: int, documents: list[bytes], refused: dict[int, str], read: int) -> Rows:
    following = first + len(documents)
    return Rows(np.arange(first, following), pa.array(documents, pa.binary()), refused, following, read)
