"""Columns of text: how the messages of a whole piece are written at once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
# A column of type string.
Texts: TypeAlias = pa.Array

_HEXADECIMAL = np.frombuffer(b"0123456789abcdef", "u1")


def plain(numbers: Ints) -> Texts:
    """The numbers in decimal, without leading zeros."""
    return pc.cast(pa.array(numbers), pa.string())


def decimal(numbers: Ints, width: int) -> Texts:
    """The numbers, not negative, in ``width`` decimal digits, with leading zeros."""
    return pc.ascii_lpad(plain(numbers), width, "0")


def hexadecimal(numbers: Ints) -> Texts:
    """The numbers in 16 hexadecimal digits, with leading zeros."""
    digits = np.empty((len(numbers), 16), "u1")
    for place in range(16):
        digits[:, place] = _HEXADECIMAL[numbers >> 4 * (15 - place) & 0xF]
    ends = np.arange(0, digits.size + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(ends), pa.py_buffer(digits))


def joined(*columns: Texts | str) -> Texts:
    """The text of each row: the values of the columns and the constants, joined without a separator."""
    return pc.binary_join_element_wise(*columns, "")


def encoded(texts: Texts) -> list[bytes]:
    """Each text as UTF-8 bytes."""
    values: list[bytes] = texts.cast(pa.binary()).to_pylist()
    return values
