"""Hashes of texts, many at once, and what is found in arrays of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pandas.util import hash_array

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.integer]

_MOST_LOW_BITS = 24


def hashes(texts: pa.ChunkedArray, key: str) -> Hashes:
    """SipHash-2-4 of each text (Aumasson and Bernstein 2012), mixed by the finalizer of SplitMix64.

    Args:
        key: 16 characters.
    """
    found: Hashes = hash_array(np.array(texts.cast(pa.binary()).to_pylist(), object), hash_key=key, categorize=False)
    return found


def mixed(numbers: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014) of each number: other bits, one to one."""
    found: Hashes = hash_array(numbers)
    return found


def contained_in(wanted: Numbers, sorted_: Numbers) -> npt.NDArray[np.bool_]:
    """Which of the numbers are among others, which are in order; none is negative.

    Most of those that are not are told by their low bits: to look one up costs some twenty reads of scattered memory.
    """
    found = np.zeros(len(wanted), bool)
    if not len(sorted_):
        return found
    low_bits = sorted_.dtype.type((1 << min(_MOST_LOW_BITS, len(sorted_).bit_length() + 4)) - 1)
    there = np.zeros(int(low_bits) + 1, bool)
    there[sorted_ & low_bits] = True
    maybe = np.flatnonzero(there[wanted & low_bits])
    at = np.minimum(np.searchsorted(sorted_, wanted[maybe]), len(sorted_) - 1)
    found[maybe[sorted_[at] == wanted[maybe]]] = True
    return found


def occurs_repeatedly(in_order: Numbers) -> npt.NDArray[np.bool_]:
    """Which of some values, of which equal ones stand together, are there more than once."""
    like_next = in_order[1:] == in_order[:-1]
    found = np.zeros(len(in_order), bool)
    found[:-1] |= like_next
    found[1:] |= like_next
    return found
