"""Contents into rows: lines, CSV with a header, NDJSON and parquet, a few thousand rows at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.importer.contents import CSV, LINES, NDJSON, PARQUET, Content, UnreadableError, read_piece
from ingest.importer.mapping import Layout
from ingest.judging import MOST_EVENT_BYTES

_ROWS = 10_000
_BOM = b"\xef\xbb\xbf"


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

    lines: list[int]
    documents: list[bytes]
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
    return LINES if layout.fields_of(_split(first.decode(errors="replace"), _delimiter(first))) is None else CSV


def rows(content: Any, size: int, format_: str, layout: Layout, id_of: Callable[[int], str]) -> Iterator[Rows]:
    """The rows of a content.

    Args:
        content: opened.
        size: its bytes, for parquet.
        id_of: gives the id of a line.

    Raises:
        UnreadableError: the content is not of the format.
    """
    if format_ == PARQUET:
        yield from _parquet(content, size, layout, id_of)
        return
    columns, delimiter, begin = layout.columns, layout.delimiter, 1
    for first, lines, read in _line_blocks(content):
        if format_ == CSV and first == 1:
            delimiter = _delimiter(lines[0])
            columns = _header(lines[0], delimiter, layout)
            begin = 2
        numbers = [first + place for place, line in enumerate(lines) if first + place >= begin and line.strip()]
        texts = [lines[number - first] for number in numbers]
        end = first + len(lines)
        if format_ == NDJSON:
            documents = layout.identified(texts, lambda place, numbers=numbers: id_of(numbers[place]))  # type: ignore[misc]
            yield Rows(numbers, documents, {}, end, read)
        else:
            least = len(columns) if format_ == CSV else layout.least
            yield Rows(numbers, *_documents(numbers, texts, columns, least, delimiter, layout, id_of), end, read)


def _line_blocks(content: Any) -> Iterator[tuple[int, list[bytes], int]]:
    """Blocks of lines: the number of the first, the lines without their ends, and the bytes read so far."""
    rest, read, number = b"", 0, 1
    while piece := read_piece(content):
        if not read:
            piece = piece.removeprefix(_BOM)
        read += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        # A line that never ends takes no more memory than the largest event, and is refused as too large.
        rest = rest[: MOST_EVENT_BYTES + 1]
        for start in range(0, len(lines), _ROWS):
            block = lines[start : start + _ROWS]
            yield number, block, read
            number += len(block)
    if rest:
        yield number, [rest], read


def _documents(
    numbers: Sequence[int], texts: Sequence[bytes], columns: Sequence[str], least: int, delimiter: str,
    layout: Layout, id_of: Callable[[int], str],
) -> tuple[list[bytes], dict[int, str]]:  # fmt: skip
    documents: list[bytes] = []
    refused: dict[int, str] = {}
    expected = delimiter.join(columns)
    for place, (number, text) in enumerate(zip(numbers, texts, strict=True)):
        try:
            cells = _split(text.rstrip(b"\r").decode(), delimiter)
        except UnicodeDecodeError:
            refused[place] = "not UTF-8"
        except csv.Error as error:
            refused[place] = f"not CSV: {error}"
        else:
            if not least <= len(cells) <= len(columns):
                refused[place] = f"expected {expected}, found {len(cells)} of {len(columns)} cells"
        documents.append(b"" if place in refused else layout.document(columns, cells, id_of(number)))
    return documents, refused


def _parquet(content: Any, size: int, layout: Layout, id_of: Callable[[int], str]) -> Iterator[Rows]:
    try:
        file = pq.ParquetFile(content)
        total = file.metadata.num_rows
        columns = layout.fields_of(file.schema_arrow.names)
        if columns is None:
            raise UnreadableError(f"has the columns {file.schema_arrow.names}; expected {list(layout.columns)}")
        number = 1
        for batch in file.iter_batches(_ROWS):
            numbers = list(range(number, number + batch.num_rows))
            cells = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            documents = [layout.document(columns, row, id_of(n)) for n, row in zip(numbers, cells, strict=True)]
            number += batch.num_rows
            yield Rows(numbers, documents, {}, number, size * (number - 1) // max(1, total))
    except (OSError, pa.ArrowException, TypeError, ValueError) as error:
        raise UnreadableError(f"is not parquet that can be read: {error}") from None


def _header(line: bytes, delimiter: str, layout: Layout) -> tuple[str, ...]:
    columns = layout.fields_of(_split(line.rstrip(b"\r").decode(errors="replace"), delimiter))
    if columns is None:
        shown = line[:100].decode(errors="replace")
        raise UnreadableError(f"has the header {shown!r}; expected {layout.delimiter.join(layout.columns)}")
    return columns


def _delimiter(header: bytes) -> str:
    return max(";,\t", key=lambda candidate: header.count(candidate.encode()))


def _split(line: str, delimiter: str) -> list[str]:
    line = line.rstrip("\r")
    return next(csv.reader([line], delimiter=delimiter, strict=True)) if '"' in line else line.split(delimiter)
