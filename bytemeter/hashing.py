"""Hashes of many texts at once, and membership tests on arrays of hashes or other integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pandas.util import hash_array

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]

# At most 2**24 entries (16 MiB) for the table of low bits in ``contained_in``.
_MOST_LOW_BITS = 24


def hashes(texts: pa.ChunkedArray, key: str) -> Hashes:
    """SipHash-2-4 of each text (Aumasson and Bernstein 2012), followed by the finalizer of SplitMix64.

    Args:
        key: the SipHash key, 16 characters.
    """
    values = np.array(texts.cast(pa.binary()).to_pylist(), object)
    hashed: Hashes = hash_array(values, hash_key=key, categorize=False)
    return hashed


def mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014): scatters the bits of each value, one to one."""
    scattered: Hashes = hash_array(values)
    return scattered


def contained_in(wanted: Integers, in_order: Integers) -> Mask:
    """For each wanted value whether ``in_order`` contains it.

    A table of low bits rules out most values that are not contained: a binary search costs some twenty reads of
    scattered memory, the table one.

    Args:
        wanted: values of 0 and above.
        in_order: values of 0 and above, of the same type, ascending.
    """
    contained = np.zeros(len(wanted), bool)
    if not len(in_order):
        return contained
    low_bits = in_order.dtype.type((1 << min(_MOST_LOW_BITS, len(in_order).bit_length() + 4)) - 1)
    has_low_bits = np.zeros(int(low_bits) + 1, bool)
    has_low_bits[in_order & low_bits] = True
    candidates = np.flatnonzero(has_low_bits[wanted & low_bits])
    nearest = np.minimum(np.searchsorted(in_order, wanted[candidates]), len(in_order) - 1)
    contained[candidates[in_order[nearest] == wanted[candidates]]] = True
    return contained


def occurs_repeatedly(in_order: Integers) -> Mask:
    """For each value whether it occurs more than once; equal values must be neighbours, as in a sorted array."""
    equals_next = in_order[1:] == in_order[:-1]
    repeated = np.zeros(len(in_order), bool)
    repeated[:-1] |= equals_next
    repeated[1:] |= equals_next
    return repeated
