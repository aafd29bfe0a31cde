"""Many lines cut into cells at once. Lines that need more than cutting are *odd*: they are read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bytemeter.parsing.checking import is_utf8

_NEW_LINE, _QUOTE, _BACKSLASH, _SPACE, _FIRST_OF_MORE = 10, 34, 92, 32, 128
_SEPARATOR, _END, _ODD = 1, 2, 3
# Lines are cut together where the same cells are empty; of more such patterns than these the lines are read one by one.
_MOST_PATTERNS = 8
_MOST_COLUMNS = 60
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Lines in which the same cells are filled.

    Attributes:
        lines: by their places.
        columns: the filled cells, by their places in a line.
        cells: a column for each, in UTF-8, without quotes, backslashes and control characters.
    """

    lines: Places
    columns: tuple[int, ...]
    cells: list[pa.BinaryArray]


@dataclass(frozen=True)
class Cut:
    """Lines that were cut.

    Attributes:
        count: of all lines.
        groups: of plain lines.
        odd: the other lines that are not empty, by their places.
    """

    count: int
    groups: list[Group]
    odd: list[int]
    _data: bytes
    _starts: Places
    _ends: Places

    def line(self, place: int) -> bytes:
        """A line without its end."""
        return self._data[self._starts[place] : self._ends[place]]


def cut(data: bytes, delimiter: str, least: int, most: int) -> Cut:
    """Cut lines.

    Args:
        data: whole lines, each with its end.
        least, most: how many cells a line has; one with another number is odd.
    """
    data = _unquoted(data.replace(b"\r\n", b"\n") if b"\r" in data else data, delimiter)
    kinds = _kinds(delimiter)[np.frombuffer(data, np.uint8)]
    marks = np.flatnonzero(kinds)
    kinds = kinds[marks]
    separators = marks[kinds != _ODD]
    last = np.flatnonzero(kinds[kinds != _ODD] == _END)
    ends = separators[last]
    starts = np.concatenate(([0], ends[:-1] + 1))
    widths = np.diff(last, prepend=-1)
    plain = (widths >= least) & (widths <= most) & (most <= _MOST_COLUMNS)
    plain[np.searchsorted(ends, marks[kinds == _ODD])] = False
    if not is_utf8(data):
        more = np.flatnonzero(np.frombuffer(data, np.uint8) >= _FIRST_OF_MORE)
        plain[np.searchsorted(ends, more)] = False
    groups = list(_groups(_cells(data, delimiter, separators), last - widths + 1, widths, plain, most))
    odd = np.flatnonzero(~plain & (ends > starts)).tolist()
    return Cut(len(ends), groups, odd, data, starts, ends)


def _groups(
    cells: pa.BinaryArray, first: Places, widths: Places, plain: npt.NDArray[np.bool_], most: int
) -> Iterator[Group]:
    """The plain lines by their patterns; those of rare patterns are made odd.

    Args:
        first: by line the place of its first cell.
        widths: by line how many cells it has.
    """
    lines = np.flatnonzero(plain)
    filled = np.diff(np.frombuffer(cells.buffers()[1], np.int32)) > 0
    patterns = np.zeros(len(lines), np.int64)
    for column in range(most):
        has = widths[lines] > column
        has[has] &= filled[first[lines][has] + column]
        patterns |= has.astype(np.int64) << column
    found, counts = np.unique(patterns, return_counts=True)
    common = found[np.argsort(counts)[::-1][:_MOST_PATTERNS]]
    plain[lines[~np.isin(patterns, common)]] = False
    for pattern in common.tolist():
        columns = tuple(column for column in range(most) if pattern >> column & 1)
        those = lines[patterns == pattern] if len(found) > 1 else lines
        if columns:
            yield Group(those, columns, [cells.take(pa.array(first[those] + column)) for column in columns])
        else:
            plain[those] = False


def _cells(data: bytes, delimiter: str, separators: Places) -> pa.BinaryArray:
    """All cells of all lines: what is between separators."""
    ends = np.zeros(len(separators) + 1, np.int32)
    ends[1:] = separators - np.arange(len(separators))
    texts = data.translate(None, delimiter.encode() + b"\n")
    return pa.Array.from_buffers(pa.binary(), len(separators), [None, pa.py_buffer(ends), pa.py_buffer(texts)])


def _unquoted(data: bytes, delimiter: str) -> bytes:
    """The lines without quotes around cells, but for lines where quotes mean more than that."""
    if b'"' not in data:
        return data
    read = np.frombuffer(data, np.uint8)
    kinds = _kinds(delimiter)[read]
    is_separator = (kinds == _SEPARATOR) | (kinds == _END)
    quotes, separators = np.flatnonzero(read == _QUOTE), np.flatnonzero(is_separator)
    ends = np.flatnonzero(kinds == _END)
    lines, first, count = np.unique(np.searchsorted(ends, quotes), return_index=True, return_counts=True)
    starts, ends = np.append(0, ends)[lines], ends[lines]
    # Without its quotes a line must not look blank, and a line that is odd in another way keeps them.
    visible = np.flatnonzero((read > _SPACE) & (read != _QUOTE))
    others = np.flatnonzero((kinds == _ODD) & (read != _QUOTE))
    shows = np.searchsorted(visible, ends) > np.searchsorted(visible, starts)
    shows &= np.searchsorted(others, ends) == np.searchsorted(others, starts)
    opens = (np.arange(len(quotes)) - np.repeat(first, count)) % 2 == 0
    after = is_separator[quotes + 1]
    before = is_separator[quotes - 1] | (quotes == 0)
    # A cell begins after as many separators as it ends.
    cell = np.searchsorted(separators, quotes)
    fits = np.where(opens, before, after & (cell == np.roll(cell, 1)))
    is_fine = np.logical_and.reduceat(fits, first) & (count % 2 == 0) & shows
    return bytes(np.delete(read, quotes[np.repeat(is_fine, count)]))


@cache
def _kinds(delimiter: str) -> npt.NDArray[np.uint8]:
    """By byte what it is: nothing special, a separator, the end of a line, or one that makes its line odd."""
    kinds = np.zeros(256, np.uint8)
    kinds[:_SPACE] = kinds[[_QUOTE, _BACKSLASH]] = _ODD
    kinds[ord(delimiter)], kinds[_NEW_LINE] = _SEPARATOR, _END
    return kinds
