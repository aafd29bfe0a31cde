"""Columns of text: numbers as Python writes them, values of any length side by side."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator.texts import decimal, encoded, hexadecimal, joined, plain

NUMBERS = [0, 7, 10, 1_763_700_000, 10, 999_999_999_999]


def test_numbers_are_written_as_python_writes_them() -> None:
    numbers = np.array(NUMBERS)
    assert plain(numbers).to_pylist() == [str(n) for n in NUMBERS]
    assert plain(-numbers).to_pylist() == [str(-n) for n in NUMBERS]
    assert decimal(numbers, 12).to_pylist() == [f"{n:012d}" for n in NUMBERS]
    assert hexadecimal(numbers).to_pylist() == [f"{n:016x}" for n in NUMBERS]


def test_values_of_any_length_are_joined() -> None:
    texts = pa.array(["", "a", "long"])
    assert encoded(joined("<", texts, "|", plain(np.array([1, 20, 3])), texts, ">")) == [
        b"<|1>",
        b"<a|20a>",
        b"<long|3long>",
    ]
