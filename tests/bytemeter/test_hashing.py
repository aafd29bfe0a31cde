from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.hashing import contained_in, occurs_repeatedly


@given(st.lists(st.integers(0, 5)))
def test_values_that_are_there_more_than_once(values: list[int]) -> None:
    in_order = sorted(values)
    several = occurs_repeatedly(np.array(in_order, np.int64))
    assert several.tolist() == [Counter(values)[value] > 1 for value in in_order]


@given(
    st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 40)), st.lists(st.integers(0, 40) | st.integers(0, 2**63 - 1))
)
def test_numbers_that_are_among_others(wanted: list[int], others: list[int]) -> None:
    for type_ in (np.int64, np.uint64):
        found = contained_in(np.array(wanted, type_), np.array(sorted(others), type_))
        assert found.tolist() == [value in others for value in wanted]
