"""Writes an answer: as a table for people, as CSV, or as JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice
from typing import TextIO

from duckdb import DuckDBPyRelation
from rich.cells import cell_len, set_cell_size

_ROWS_AT_ONCE = 10_000
MOST_SHOWN = 1_000
_MOST_WIDE = 100
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "UBIGINT", "FLOAT", "DOUBLE", "DECIMAL")
# Texts of others could move the cursor of a terminal, or colour it.
_CONTROLS = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160))} | {10: "\\n", 9: "\\t", 13: "\\r"}


def write_csv(answer: DuckDBPyRelation, output: TextIO) -> None:
    """A line of names, then a line for each row (RFC 4180); null is nothing, bytes are hexadecimal digits after \\x."""
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in _texts(answer, _as_text):
        writer.writerow(["" if cell is None else cell for cell in row])


def write_json(answer: DuckDBPyRelation, output: TextIO) -> None:
    """An array with an object for each row, each on a line. Decimals are texts, as money is everywhere."""
    names = [json.dumps(name, ensure_ascii=False) for name in _distinct(answer.columns)]
    before = "[\n"
    for row in _texts(answer, _as_json):
        cells = ", ".join(f"{name}: {cell or 'null'}" for name, cell in zip(names, row, strict=True))
        output.write(f"{before}{{{cells}}}")
        before = ",\n"
    output.write("[]\n" if before == "[\n" else "\n]\n")


def write_table(answer: DuckDBPyRelation, output: TextIO) -> None:
    """Columns side by side; of more than 1,000 rows the first ones, of a long text its beginning."""
    numeric = [str(type_).startswith(_NUMBERS) for type_ in answer.types]
    rows = list(islice(_texts(answer, _as_text), MOST_SHOWN + 1))
    shown = [[_shown(cell) for cell in row] for row in rows[:MOST_SHOWN]]
    names = [_shown(name) for name in answer.columns]
    widths = [max(cell_len(row[n]) for row in (names, *shown)) for n in range(len(names))]
    for row in (names, None, *shown):
        output.write(_line(row, widths, numeric))
    counted = f"the first {MOST_SHOWN:,} rows; --format csv writes all"
    output.write(f"({counted if len(rows) > MOST_SHOWN else f'{len(rows)} row' + 's' * (len(rows) != 1)})\n")


def _line(row: list[str] | None, widths: list[int], numeric: list[bool]) -> str:
    if row is None:
        return "-+-".join("-" * width for width in widths) + "\n"
    padded = [
        " " * (width - cell_len(cell)) + cell if right else cell + " " * (width - cell_len(cell))
        for cell, width, right in zip(row, widths, numeric, strict=True)
    ]
    return " | ".join(padded).rstrip() + "\n"


def _shown(cell: str | None) -> str:
    text = ("" if cell is None else cell[: 2 * _MOST_WIDE]).translate(_CONTROLS)
    return text if cell_len(text) <= _MOST_WIDE else set_cell_size(text, _MOST_WIDE - 1).rstrip() + "…"


def _texts(answer: DuckDBPyRelation, expression: str) -> Iterator[tuple[str | None, ...]]:
    """The rows, each cell as the text that DuckDB makes of it."""
    kinds = [_kind(str(type_)) for type_ in answer.types]
    chosen = ", ".join(f"{_EXPRESSIONS[expression][kind].format(f'#{n}')} as c{n}" for n, kind in enumerate(kinds, 1))
    for batch in answer.project(chosen).to_arrow_reader(_ROWS_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _kind(type_: str) -> str:
    name = type_.partition("(")[0]
    return "other" if type_.endswith("]") else name if name in ("BLOB", "DECIMAL", "FLOAT", "DOUBLE") else "other"


def _distinct(names: list[str]) -> list[str]:
    """The names, each once: a JSON object has no member twice."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct


_as_text, _as_json = "text", "json"
_TEXT = "cast({} as varchar)"
_HEXADECIMAL = "'\\x' || lower(hex({}))"
_JSON_TEXT = "cast(to_json(cast({} as varchar)) as varchar)"
# JSON has no numbers for infinity and NaN.
_FINITE_NUMBER = f"case when isfinite({{0}}) then cast({{0}} as varchar) else {_JSON_TEXT.format('{0}')} end"
_EXPRESSIONS = {
    _as_text: {"BLOB": _HEXADECIMAL, "DECIMAL": _TEXT, "FLOAT": _TEXT, "DOUBLE": _TEXT, "other": _TEXT},
    _as_json: {
        "BLOB": f"cast(to_json({_HEXADECIMAL}) as varchar)",
        "DECIMAL": _JSON_TEXT,
        "FLOAT": _FINITE_NUMBER,
        "DOUBLE": _FINITE_NUMBER,
        "other": "cast(to_json({}) as varchar)",
    },
}
