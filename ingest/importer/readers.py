"""Contents into rows: lines, CSV with a header, NDJSON and parquet, some ten thousand rows at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest.identities import identified, with_member
from ingest.importer.contents import CSV, LINES, NDJSON, PARQUET, Content, UnreadableError, read_piece, unreadable
from ingest.importer.cutting import cut
from ingest.importer.ids import LineIds
from ingest.importer.mapping import Layout
from ingest.judging import MOST_EVENT_BYTES

_ROWS = 20_000
_BOM = b"\xef\xbb\xbf"
# What may not be put between the quotes of JSON as it is.
_ESCAPED = r'[\x00-\x1f"\\]'
# Documents of some rows, by the places of the rows.
_Part = tuple[npt.NDArray[np.int64], pa.BinaryArray]


@dataclass(frozen=True)
class Rows:
    """Rows of a file that are judged together.

    Attributes:
        lines: the line number of each, from 1; of parquet the row number.
        documents: each as JSON for the feed's topic; empty where it cannot be one.
        refused: by place why.
        next_line: the line after the last one, blank ones included.
        read: so many bytes of the content were read.
    """

    lines: npt.NDArray[np.int64]
    documents: pa.BinaryArray
    refused: dict[int, str]
    next_line: int
    read: int


def format_of(content: Content, layout: Layout) -> str:
    """The format of a content, by its first bytes."""
    if content.head.startswith(b"PAR1"):
        return PARQUET
    first = content.head.removeprefix(_BOM).lstrip().split(b"\n", 1)[0]
    if first.startswith(b"{"):
        return NDJSON
    try:
        return LINES if layout.fields_of(_split(first.decode(errors="replace"), _delimiter(first))) is None else CSV
    except csv.Error:
        return LINES


def rows(content: Any, size: int, format_: str, layout: Layout, ids: LineIds) -> Iterator[Rows]:
    """The rows of a content.

    Args:
        content: opened.
        size: its bytes, for parquet.

    Raises:
        UnreadableError: the content is not of the format.
    """
    if format_ == PARQUET:
        yield from _parquet(content, size, layout, ids)
        return
    columns, delimiter, least = layout.columns, layout.delimiter, layout.least
    for first, block, read in _blocks(content):
        begin = 0
        if format_ == CSV and first == 1:
            header = block[: block.index(b"\n")]
            delimiter = _delimiter(header)
            columns = _header(header, delimiter, layout)
            least, begin = len(columns), 1
            block = block[len(header) + 1 :]  # noqa: PLW2901
        if format_ == NDJSON:
            yield _ndjson(first, block, read, layout, ids)
        elif block:
            yield _delimited(first + begin, block, read, (columns, delimiter, least), layout, ids)


def _blocks(content: Any) -> Iterator[tuple[int, bytes, int]]:
    """Blocks of whole lines: the number of the first, the lines with their ends, and the bytes read so far."""
    rest, read, number = b"", 0, 1
    while piece := read_piece(content):
        read += len(piece)
        whole = piece.rfind(b"\n") + 1
        block = rest + (piece if read > len(piece) else piece.removeprefix(_BOM))
        end = len(block) - (len(piece) - whole) if whole else 0
        # A line that never ends takes no more memory than the largest event, and is refused as too large.
        rest = block[end : end + MOST_EVENT_BYTES + 1]
        if end:
            yield number, block[:end], read
            number += piece.count(b"\n")
    if rest:
        yield number, rest + b"\n", read


def _delimited(
    first: int, block: bytes, read: int, shape: tuple[tuple[str, ...], str, int], layout: Layout, ids: LineIds
) -> Rows:
    """Lines of cells; most are cut together, the others read one by one."""
    columns, delimiter, least = shape
    found = cut(block, delimiter, least, len(columns))
    parts: list[_Part] = []
    odd = found.odd
    for group in found.groups:
        names = [columns[column] for column in group.columns]
        plain = np.ones(len(group.lines), bool)
        for name, cells in zip(names, group.cells, strict=True):
            is_plain = layout.is_plain(name, cells)
            if is_plain is not None:
                plain &= is_plain.to_numpy(zero_copy_only=False)
        lines, cells_of = group.lines, group.cells
        if not plain.all():
            odd = odd + lines[~plain].tolist()
            lines, cells_of = lines[plain], [cells.filter(pa.array(plain)) for cells in cells_of]
        parts.append((lines, layout.documents(names, cells_of, ids.of(lines + first))))
    reasons: dict[int, str] = {}
    part, reasons = _odd(first, [(place, found.line(place)) for place in sorted(odd)], shape, layout, ids)
    places, documents = _together([*parts, part])
    refused = {int(np.searchsorted(places, place)): reason for place, reason in reasons.items()}
    return Rows(places + first, documents, refused, first + found.count, read)


def _odd(
    first: int, lines: list[tuple[int, bytes]], shape: tuple[tuple[str, ...], str, int], layout: Layout, ids: LineIds
) -> tuple[_Part, dict[int, str]]:
    """Lines that are read one by one; blank ones are left out. Also why lines are refused, by their places."""
    columns, delimiter, least = shape
    expected = delimiter.join(columns)
    documents: dict[int, bytes] = {}
    refused: dict[int, str] = {}
    for place, text in lines:
        if not text.strip():
            continue
        documents[place] = b""
        try:
            cells = _split(text.decode(), delimiter)
        except UnicodeDecodeError:
            refused[place] = "not UTF-8"
        except csv.Error as error:
            refused[place] = f"not CSV: {error}"
        else:
            if least <= len(cells) <= len(columns):
                documents[place] = layout.document(columns, cells, ids(first + place))
            else:
                refused[place] = f"expected {expected}, found {len(cells)} of {len(columns)} cells"
    return (np.array(list(documents), np.int64), pa.array(documents.values(), pa.binary())), refused


def _together(parts: list[_Part]) -> _Part:
    """All documents in the order of their places."""
    parts = [part for part in parts if len(part[0])] or parts[:1]
    places = np.concatenate([places for places, _ in parts])
    documents = pa.concat_arrays([documents for _, documents in parts])
    if len(parts) == 1:
        return places, documents
    order = np.argsort(places)
    return places[order], documents.take(pa.array(order))


def _ndjson(first: int, block: bytes, read: int, layout: Layout, ids: LineIds) -> Rows:
    lines = block[:-1].split(b"\n")
    places = np.array([place for place, line in enumerate(lines) if line and not line.isspace()], np.int64)
    values, numbers = [lines[place] for place in places.tolist()], places + first
    if layout.assigned is not None:
        name, texts = layout.assigned, _texts(ids, numbers)
        values = [with_member(value, name, id_) for value, id_ in zip(values, texts, strict=True)]
    values = identified(layout.feed, values, {}, lambda place: ids(int(numbers[place])))
    return Rows(numbers, pa.array(values, pa.binary()), {}, first + len(lines), read)


def _parquet(content: Any, size: int, layout: Layout, ids: LineIds) -> Iterator[Rows]:
    file = parquet_file(content, layout)
    columns, total = layout.fields_of(file.schema_arrow.names) or (), max(1, file.metadata.num_rows)
    first = 1
    for batch in batches(file):
        end = first + batch.num_rows
        documents = _documents(batch, columns, layout, ids, np.arange(first, end))
        yield Rows(np.arange(first, end), documents, {}, end, size * (end - 1) // total)
        first = end


def parquet_file(content: Any, layout: Layout) -> pq.ParquetFile:
    """A parquet file with the feed's columns.

    Raises:
        UnreadableError: it is none.
    """
    try:
        file = pq.ParquetFile(content)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise unreadable(error, "is not parquet that can be read") from None
    if layout.fields_of(file.schema_arrow.names) is None:
        raise UnreadableError(f"has the columns {file.schema_arrow.names}; expected {list(layout.columns)}")
    return file


def batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The rows of a parquet file.

    Raises:
        UnreadableError: they cannot be read.
    """
    try:
        yield from file.iter_batches(_ROWS)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(error, "is not parquet that can be read") from None


def _documents(
    batch: pa.RecordBatch, columns: tuple[str, ...], layout: Layout, ids: LineIds, numbers: npt.NDArray[np.int64]
) -> pa.BinaryArray:
    cells = [_plain(name, column, layout) for name, column in zip(columns, batch.columns, strict=True)]
    if all(cell is not None for cell in cells):
        return layout.documents(columns, cells, ids.of(numbers))
    texts = _texts(ids, numbers)
    try:
        values = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        found = [layout.document(columns, row, id_) for row, id_ in zip(values, texts, strict=True)]
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"has values that are no JSON: {error}") from None
    return pa.array(found, pa.binary())


def _plain(name: str, column: pa.Array, layout: Layout) -> pa.BinaryArray | None:
    """The cells as ``Layout.documents`` takes them; None if some of them need more."""
    if column.null_count:
        return None
    if name in layout.wholes:
        return column.cast(pa.string()).cast(pa.binary()) if pa.types.is_integer(column.type) else None
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    texts = column.cast(pa.string())
    escaped = pc.or_(pc.equal(texts, ""), pc.match_substring_regex(texts, _ESCAPED))
    return None if pc.any(escaped).as_py() else texts.cast(pa.binary())


def _texts(ids: LineIds, numbers: npt.NDArray[np.int64]) -> list[str]:
    texts: list[str] = ids.of(numbers).cast(pa.string()).to_pylist()
    return texts


def _header(line: bytes, delimiter: str, layout: Layout) -> tuple[str, ...]:
    shown = line[:100].decode(errors="replace")
    try:
        columns = layout.fields_of(_split(line.decode(errors="replace"), delimiter))
    except csv.Error as error:
        raise UnreadableError(f"has the header {shown!r}, which is not CSV: {error}") from None
    if columns is None:
        raise UnreadableError(f"has the header {shown!r}; expected {layout.delimiter.join(layout.columns)}, each once")
    return columns


def _delimiter(header: bytes) -> str:
    return max(";,\t", key=lambda candidate: header.count(candidate.encode()))


def _split(line: str, delimiter: str) -> list[str]:
    line = line.rstrip("\r")
    return next(csv.reader([line], delimiter=delimiter, strict=True)) if '"' in line else line.split(delimiter)
