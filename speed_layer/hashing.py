"""Hashes of texts, many at once, and what is found in arrays of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pandas.util import hash_array

Hashes = npt.NDArray[np.uint64]


def hashes(texts: pa.ChunkedArray, key: str) -> Hashes:
    """SipHash-2-4 of each text (Aumasson and Bernstein 2012), mixed by the finalizer of SplitMix64.

    Args:
        key: 16 characters.
    """
    found: Hashes = hash_array(np.array(texts.cast(pa.binary()).to_pylist(), object), hash_key=key, categorize=False)
    return found


def are_among(wanted: Hashes, sorted_: Hashes) -> npt.NDArray[np.bool_]:
    """Which of the hashes are among others, which are in order."""
    if not len(sorted_):
        return np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(sorted_, wanted), len(sorted_) - 1)
    found: npt.NDArray[np.bool_] = sorted_[at] == wanted
    return found


def stand_several_times(in_order: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of some values, of which equal ones stand together, are there more than once."""
    like_next = in_order[1:] == in_order[:-1]
    found = np.zeros(len(in_order), bool)
    found[:-1] |= like_next
    found[1:] |= like_next
    return found
