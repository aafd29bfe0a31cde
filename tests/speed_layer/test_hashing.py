from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from speed_layer.hashing import stand_several_times


@given(st.lists(st.integers(0, 5)))
def test_values_that_are_there_more_than_once(values: list[int]) -> None:
    in_order = sorted(values)
    several = stand_several_times(np.array(in_order, np.int64))
    assert several.tolist() == [Counter(values)[value] > 1 for value in in_order]
