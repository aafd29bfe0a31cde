"""The fast decoder: msgspec decodes each message into a Struct that is generated from the feed's fields.

msgspec is as strict as the reference reader (``bytemeter.parsing.single``), with exceptions that are looked for here,
in all messages at once. Messages that may be such an exception are *doubtful*: the reference reader decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds.fields import Decimal, Field, FieldType, Number, Text, Whole, WholeList

try:
    import msgspec
except ImportError:
    # Executors need not have it: then the reference reader reads all messages, several times slower.
    msgspec = None  # type: ignore[assignment]

AVAILABLE = msgspec is not None
Fields = tuple[Field, ...]
# A column of some messages, before the columns of all messages are put together: texts joined by NUL, or an array.
Chunk: TypeAlias = Any
# Members by name: a field, or the members of an object.
_Tree = dict[str, Any]
_INT64_BITS = 64


class Decoder:
    """Decodes messages of a feed, and makes columns of the decoded Structs.

    Attributes:
        empty: a Struct whose fields are all null, in place of a malformed message.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._tree = _tree(fields)
        self._struct = _struct(self._tree)
        self._decode = msgspec.json.Decoder(self._struct).decode
        self._columns = [(field, _collector(_attribute(self._tree, field.path))) for field in fields]
        self.empty = self.struct({})

    def decode(self, messages: Sequence[bytes]) -> tuple[list[Any], list[int]]:
        """Decode messages.

        Returns:
            The Structs, None where a message was refused; and the rows of the refused messages.
        """
        structs: list[Any] = []
        refused: list[int] = []
        decoding = map(self._decode, messages)
        while len(structs) < len(messages):
            try:
                # When a message is refused, the Structs of the messages before it are in the list, and the iterator
                # goes on with the message after it.
                structs.extend(decoding)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                refused.append(len(structs))
                structs.append(None)
        return structs, refused

    def struct(self, row: Mapping[str, Any]) -> Any:
        """The Struct with these fields, given by name; missing fields are null."""
        return _filled(self._struct, self._tree, (), {field.path: row.get(field.name) for field in self._fields})

    def chunks(self, structs: list[Any]) -> tuple[list[Chunk], set[int]]:
        """The columns of Structs, and the rows that are doubtful although they were decoded."""
        chunks: list[Chunk] = []
        doubtful: set[int] = set()
        for field, collect in self._columns:
            chunk, rows = _CHUNKS[type(field.type)](collect(structs), field)
            chunks.append(chunk)
            doubtful |= rows
        return chunks, doubtful


@cache
def decoder(fields: Fields) -> Decoder:
    """The decoder of these fields, made once in each process."""
    return Decoder(fields)


def column(type_: FieldType, chunks: Sequence[Any]) -> pa.Array:
    """Put the chunks of a column together."""
    return _texts_of(chunks) if isinstance(type_, Text) else pa.concat_arrays(chunks)


def _tree(fields: Fields) -> _Tree:
    tree: _Tree = {}
    for field in fields:
        node = tree
        for member in field.path[:-1]:
            node = node.setdefault(member, {})
        node[field.path[-1]] = field
    return tree


def _struct(tree: _Tree) -> Any:
    """The Struct type of an object. Its attributes are f0, f1, ...: a member's name can be any text."""
    attributes: list[tuple[Any, ...]] = []
    for index, below in enumerate(tree.values()):
        if isinstance(below, Field):
            attribute = _attribute_type(below)
        else:
            inner = _struct(below)
            # Null in place of an object that may be missing is refused here, and accepted by the reference reader.
            attribute = (inner,) if _is_required(below) else (inner, msgspec.convert({}, inner))
        attributes.append((f"f{index}", *attribute))
    names = {f"f{index}": member for index, member in enumerate(tree)}
    return msgspec.defstruct("Record", attributes, rename=names, kw_only=True, frozen=True, gc=False)


def _attribute_type(field: Field) -> tuple[Any, ...]:
    """The type of a field's attribute, and its default where the field may be missing."""
    if isinstance(field.type, Decimal):
        # As it is written: it never becomes a float.
        return (msgspec.Raw,) if field.required else (msgspec.Raw, msgspec.Raw(b"null"))
    if isinstance(field.type, Number):
        type_: Any = Any if field.type.others_are_null else float
        return (type_,) if field.required else (type_ | None, None)
    if isinstance(field.type, Text):
        # An empty text becomes null in any case: where it may, it need not be refused.
        least = 0 if field.type.empty_is_null and not field.required else 1
        type_ = Annotated[str, msgspec.Meta(min_length=least, max_length=field.type.max_length)]
    else:
        type_ = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    if isinstance(field.type, WholeList):
        type_ = list[type_ | None]
    if field.required:
        return (type_,)
    # No text is empty: an empty one stands for a missing one.
    return type_ | None, "" if isinstance(field.type, Text) else None


def _is_required(tree: _Tree) -> bool:
    return any(below.required if isinstance(below, Field) else _is_required(below) for below in tree.values())


def _attribute(tree: _Tree, path: tuple[str, ...]) -> str:
    """The attribute that holds the field with this path, such as f1.f0."""
    attribute, below = f"f{list(tree).index(path[0])}", tree[path[0]]
    return attribute if isinstance(below, Field) else f"{attribute}.{_attribute(below, path[1:])}"


def _collector(attribute: str) -> Callable[[list[Any]], list[Any]]:
    """A function that collects an attribute of Structs. As generated code it takes half as long as an attrgetter."""
    collector: Callable[[list[Any]], list[Any]] = eval(f"lambda structs: [struct.{attribute} for struct in structs]")  # noqa: S307
    return collector


def _filled(struct: Any, tree: _Tree, path: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> Any:
    """The Struct with these values, given by the paths of their fields."""
    attributes = {}
    for (member, below), attribute in zip(tree.items(), msgspec.structs.fields(struct), strict=True):
        here = (*path, member)
        if not isinstance(below, Field):
            attributes[attribute.name] = _filled(attribute.type, below, here, values)
        elif isinstance(below.type, Decimal):
            value = values[here]
            attributes[attribute.name] = msgspec.Raw(b"null" if value is None else f"{value:f}".encode())
        else:
            attributes[attribute.name] = values[here]
    return struct(**attributes)


def _text_chunk(values: list[str | None], _: Field) -> tuple[Chunk, set[int]]:
    """Texts joined by NUL; texts that contain NUL are doubtful."""
    try:
        joined = "\0".join(values).encode()  # type: ignore[arg-type]
    except TypeError:
        joined = "\0".join([value or "" for value in values]).encode()
    if len(joined) - np.count_nonzero(np.frombuffer(joined, np.uint8)) != len(values) - 1:
        return b"", {row for row, value in enumerate(values) if value and "\0" in value}
    return joined, set()


def _whole_chunk(values: list[int | None], _: Field) -> tuple[Chunk, set[int]]:
    try:
        return pa.array(np.fromiter(values, np.int64, len(values))), set()
    except TypeError:
        return pa.array(values, pa.int64()), set()


def _number_chunk(values: list[Any], field: Field) -> tuple[Chunk, set[int]]:
    doubtful: set[int] = set()
    if isinstance(field.type, Number) and field.type.others_are_null:
        values, doubtful = _numbers_among(values, field)
    try:
        numbers = np.fromiter(values, np.float64, len(values))
    except TypeError:
        numbers = np.array([math.nan if value is None else value for value in values], np.float64)
    # Of the two zeros one: equal numbers have the same bytes.
    return pa.array(numbers + 0.0, pa.float64(), from_pandas=True), doubtful


def _numbers_among(values: list[Any], field: Field) -> tuple[list[float | None], set[int]]:
    """The numbers of values of any types, None in place of others; and the rows that are doubtful."""
    numbers: list[float | None] = []
    doubtful: set[int] = set()
    for row, value in enumerate(values):
        is_number = type(value) is float or (type(value) is int and value.bit_length() < _INT64_BITS)
        numbers.append(value if is_number else None)
        # A longer whole number may be beyond all doubles.
        if not is_number and (field.required or type(value) is int):
            doubtful.add(row)
    return numbers, doubtful


def _list_chunk(values: list[list[int | None] | None], field: Field) -> tuple[Chunk, set[int]]:
    return pa.array(values, field.type.arrow), set()


def _decimal_chunk(values: list[Any], field: Field) -> tuple[Chunk, set[int]]:
    """Decimals, cut out of the messages as they are written; all that are written in another way are doubtful."""
    limits = field.type if isinstance(field.type, Decimal) else Decimal()
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=ends[1:])
    written = pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(b"".join(values)))
    plain = rf"-?(?:0|[1-9][0-9]{{0,{limits.digits - 1}}})(?:\.[0-9]{{1,{limits.scale}}})?"
    is_plain = pc.match_substring_regex(written, f'^(?:{plain}|"{plain}")$')
    doubtful: set[int] = set()
    if not pc.all(is_plain).as_py():
        fine = is_plain if field.required else pc.or_(is_plain, pc.equal(written, "null"))
        doubtful = set(np.flatnonzero(pc.invert(fine)).tolist())
        written = pc.if_else(is_plain, written, None)
    return pc.ascii_trim(written, '"').cast(field.type.arrow), doubtful


_CHUNKS: Mapping[type, Callable[[list[Any], Field], tuple[Chunk, set[int]]]] = {
    Text: _text_chunk,
    Whole: _whole_chunk,
    WholeList: _list_chunk,
    Decimal: _decimal_chunk,
    Number: _number_chunk,
}


def _texts_of(chunks: Sequence[bytes]) -> pa.Array:
    """A column of texts of their bytes, joined by NUL; an empty text stands for null."""
    data = b"\0".join(chunks)
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)
    offsets = np.zeros(len(ends) + 2, np.int32)
    # In the column there are no NULs between the texts.
    offsets[1:-1] = ends - np.arange(len(ends))
    offsets[-1] = len(data) - len(ends)
    is_valid = np.diff(offsets) > 0
    validity = None if is_valid.all() else pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    texts = pa.py_buffer(data.replace(b"\0", b""))
    return pa.Array.from_buffers(pa.string(), len(is_valid), [validity, pa.py_buffer(offsets), texts])
