"""Which messages msgspec may decode: it does not check all that the reference reader does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.parsing.single import MOST_NESTED

# So many messages are looked at together, in the processor's cache; where one of them is not UTF-8, one by one.
_MESSAGES_CHECKED = 100


def undoubted(values: pa.BinaryArray) -> npt.NDArray[np.bool_]:
    """Which messages may be decoded by msgspec: no tombstones, all of it UTF-8, and not too deep.

    msgspec does not check the UTF-8 of members that it skips.
    """
    fine: npt.NDArray[np.bool_] = np.ones(len(values), bool)
    if values.null_count:
        fine &= values.is_valid().to_numpy(zero_copy_only=False)
    if not _are_utf8(values):
        for start in range(0, len(values), _MESSAGES_CHECKED):
            some = values[start : start + _MESSAGES_CHECKED]
            if not _are_utf8(some):
                fine[start : start + len(some)] &= [is_utf8(value) for value in some.to_pylist()]
    lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy()
    # Each bracket that opens has one that closes. Messages with fewer brackets are not too deep.
    if lengths.max(initial=0) > 2 * MOST_NESTED:
        fine &= _opening_brackets(values) <= MOST_NESTED
    return fine


def _opening_brackets(values: pa.BinaryArray) -> npt.NDArray[np.int64]:
    """How many brackets and braces open in each message, in strings, too."""
    _, ends, content = values.buffers()
    offsets = np.frombuffer(ends, np.int32, len(values) + 1, 4 * values.offset)
    found = np.empty(len(values), np.int64)
    for start in range(0, len(values), _MESSAGES_CHECKED):
        places = offsets[start : start + _MESSAGES_CHECKED + 1]
        data = np.frombuffer(content, np.uint8, places[-1] - places[0], places[0])
        # A brace is the bracket with this bit set.
        opening = np.flatnonzero((data | 0x20) == ord("{"))
        found[start : start + _MESSAGES_CHECKED] = np.diff(np.searchsorted(opening, places - places[0]))
    return found


def _are_utf8(values: pa.BinaryArray) -> bool:
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def is_utf8(value: bytes | None) -> bool:
    """Whether all of it is UTF-8."""
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
