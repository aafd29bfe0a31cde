"""Columns of ASCII text, from which the messages of a whole piece are written at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Texts = NDArray[np.bytes_]
# Columns and constants that stand side by side.
Part = Sequence[Texts | bytes]

_HEXADECIMAL = np.frombuffer(b"0123456789abcdef", "u1")


def plain(numbers: Ints) -> Texts:
    """The numbers in as many digits as they have; fast where many are the same."""
    different, which = np.unique(numbers, return_inverse=True)
    return different.astype("S")[which]


def decimal(numbers: Ints, width: int) -> Texts:
    """The numbers in ``width`` decimal digits, with leading zeros."""
    digits = np.empty((len(numbers), width), "u1")
    for place in reversed(range(width)):
        tenth = numbers // 10
        digits[:, place] = numbers - 10 * tenth + ord("0")
        numbers = tenth
    return digits.view(f"S{width}").ravel()


def hexadecimal(numbers: Ints) -> Texts:
    """The numbers in 16 hexadecimal digits, with leading zeros."""
    digits = np.empty((len(numbers), 16), "u1")
    for place in range(16):
        digits[:, place] = _HEXADECIMAL[numbers >> 4 * (15 - place) & 0xF]
    return digits.view("S16").ravel()


def rows(count: int, *parts: Part) -> list[bytes]:
    """The text of each of the ``count`` rows: its values of all columns, without anything between.

    Args:
        parts: in each, the values of the last column may differ in length, those of the others must not.
    """
    return list(map(b"".join, zip(*(_row_by_row(count, part) for part in parts), strict=True)))


def _row_by_row(count: int, part: Part) -> list[bytes]:
    """Numpy fills a value up with zero bytes: they are cut off at the end, but would stay in between."""
    columns = [np.asarray(column) for column in part]
    table = np.empty(count, np.dtype([(f"{n}", column.dtype) for n, column in enumerate(columns)]))
    for name, column in zip(table.dtype.names or (), columns, strict=True):
        table[name] = column
    found: list[bytes] = table.view(f"S{table.itemsize}").tolist()
    return found
