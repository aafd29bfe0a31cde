"""Hashes, and membership tests on arrays, against plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.hashing import contained_in, hashes, mixed, occurs_repeatedly

SMALL, LARGE = st.integers(0, 40), st.integers(0, 2**63 - 1)


@given(st.lists(st.integers(0, 5)))
def test_values_that_occur_more_than_once(values: list[int]) -> None:
    in_order = sorted(values)
    repeated = occurs_repeatedly(np.array(in_order, np.int64))
    assert repeated.tolist() == [Counter(values)[value] > 1 for value in in_order]


@pytest.mark.parametrize("type_", [np.int64, np.uint64])
@given(wanted=st.lists(LARGE | SMALL), values=st.lists(SMALL | LARGE))
def test_values_that_an_array_contains(type_: type[np.integer], wanted: list[int], values: list[int]) -> None:
    contained = contained_in(np.array(wanted, type_), np.array(sorted(values), type_))
    assert contained.tolist() == [value in values for value in wanted]


def test_hashes_depend_on_text_and_key() -> None:
    texts = pa.chunked_array([["a", "b"], ["a"]], pa.string())
    first, second, again = hashes(texts, "bytemeter record").tolist()
    assert first == again != second
    assert first not in hashes(texts, "another key here").tolist()


def test_mixing_is_the_finalizer_of_splitmix64() -> None:
    values = [0, 1, 2**64 - 1]
    assert mixed(np.array(values, np.uint64)).tolist() == [splitmix64_finalizer(value) for value in values]


def splitmix64_finalizer(value: int) -> int:
    """Written from the paper."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31
