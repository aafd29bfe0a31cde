"""Reads the rows of a reference table from a CSV or a parquet file."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bytemeter.errors import BytemeterError, first_line

_PARQUET, _JSON_SUFFIX = b"PAR1", ":json"
_MOST_ID, _MOST_BYTES = 512, 2**20
_ROWS_AT_ONCE = 10_000
# PostgreSQL's jsonb has no NUL and no halves of characters.
_UNSTORABLE = re.compile(r"\x00|[\ud800-\udfff]")


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        place: its line in a CSV file, its number in a parquet file; both from 1.
        id: None of a row that is left out.
        data: its other columns as a JSON object; why it is left out.
    """

    place: int
    id: str | None
    data: str


def read_rows(path: Path, key: str) -> Iterator[Row]:
    """All rows of a file; a row that cannot be used costs itself alone.

    CSV is UTF-8 with a line of names. Its cells are texts, an empty one stands for no value; a column whose name ends
    in ``:json`` holds JSON. Columns of parquet keep their types; null stands for no value.

    Args:
        key: the column that holds the id.

    Raises:
        BytemeterError: the file cannot be read, or has no such column.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        yield from _parquet_rows(path, key) if is_parquet else _csv_rows(path, key)
    except (OSError, pa.ArrowException) as error:
        raise BytemeterError(
            f"{str(path)!r} cannot be read: {first_line(error)}; name a CSV or a parquet file"
        ) from None


def _csv_rows(path: Path, key: str) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)
        names = next(_lines(reader), None)
        if not isinstance(names, list):
            raise BytemeterError(f"{str(path)!r} is empty; expected a line of names")
        at = _place_of(names, key, path)
        before = reader.line_num
        for cells in _lines(reader):
            place, before = before + 1, reader.line_num
            if isinstance(cells, str):
                yield Row(place, None, cells)
            elif len(cells) != len(names):
                if cells:
                    yield Row(place, None, f"{len(cells)} cells, expected {len(names)}")
            else:
                yield _csv_row(place, names, cells, at)


def _lines(reader: Any) -> Iterator[list[str] | str]:
    """The cells of each line; the complaint about one that is no CSV."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"not CSV: {error}"


def _csv_row(place: int, names: Sequence[str], cells: Sequence[str], at: int) -> Row:
    data: dict[str, Any] = {}
    for n, (name, cell) in enumerate(zip(names, cells, strict=True)):
        if n == at or not cell:
            continue
        if not name.endswith(_JSON_SUFFIX):
            data[name] = cell
            continue
        try:
            data[name.removesuffix(_JSON_SUFFIX)] = json.loads(cell)
        except (ValueError, RecursionError):
            return Row(place, None, f"{name} is not JSON")
    return _row(place, cells[at], data)


def _parquet_rows(path: Path, key: str) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _place_of(names, key, path)
        place = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            for values in batch.to_pylist():
                place += 1
                id_ = values.pop(key)
                yield _row(place, id_, {name: value for name, value in values.items() if value is not None})


def _place_of(names: Sequence[str], key: str, path: Path) -> int:
    if names.count(key) != 1 or len(set(names)) != len(names):
        raise BytemeterError(
            f"{str(path)!r} has the columns {', '.join(names)[:200]}; expected each once, and one named {key!r} "
            "with the ids; --key names another one"
        )
    return names.index(key)


def _row(place: int, id_: Any, data: dict[str, Any]) -> Row:
    try:
        written = json.dumps(data, ensure_ascii=False, allow_nan=False, default=_as_json)
    except (ValueError, TypeError, RecursionError) as error:
        return Row(place, None, f"not JSON: {first_line(error)}")
    reason = _refused(id_, written)
    return Row(place, None, reason) if reason else Row(place, id_, written)


def _refused(id_: Any, written: str) -> str | None:
    """Why PostgreSQL could not hold a row, or no event could name it."""
    if id_ is None or id_ == "":
        return "no id"
    if not isinstance(id_, str):
        return f"the id {id_!r} is not a text"
    if len(id_) > _MOST_ID:
        return f"an id over {_MOST_ID} characters"
    if len(written) > _MOST_BYTES:
        return f"over {_MOST_BYTES} characters"
    is_storable = not (_UNSTORABLE.search(id_) or _UNSTORABLE.search(written) or "\\u0000" in written)
    return None if is_storable else "NUL, or not UTF-8"


def _as_json(value: object) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a value of {type(value).__name__}")
