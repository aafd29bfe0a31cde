"""Columns of text: numbers as Python writes them, rows without what numpy fills them up with."""

from __future__ import annotations

import numpy as np

from simulator.texts import decimal, hexadecimal, plain, rows

NUMBERS = [0, 7, 10, 1_763_700_000, 10, 999_999_999_999]


def test_numbers_are_written_as_python_writes_them() -> None:
    numbers = np.array(NUMBERS)
    assert plain(numbers).tolist() == [b"%d" % n for n in NUMBERS]
    assert plain(-numbers).tolist() == [b"%d" % -n for n in NUMBERS]
    assert decimal(numbers, 12).tolist() == [b"%012d" % n for n in NUMBERS]
    assert hexadecimal(numbers).tolist() == [b"%016x" % n for n in NUMBERS]


def test_the_values_at_the_end_of_a_part_may_differ_in_length() -> None:
    of_any_length = np.array([b"", b"a", b"long"])
    of_one_length = np.array([b"10", b"20", b"30"])
    assert rows(3, (b"<", of_one_length, b"|", of_any_length), (of_any_length,), (b">",)) == [
        b"<10|>",
        b"<20|aa>",
        b"<30|longlong>",
    ]
