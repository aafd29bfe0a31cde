"""Which files of an hour are merged, so that few are left and little is written again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

MOST_FILES = 8
# A merge makes files of about this size; larger ones only where an hour would have too many of them.
_FILE_BYTES = 256 * 2**20
# Of the merges that are committed together, which is what an interruption loses.
_MERGES, _INPUT_FILES, _INPUT_BYTES = 64, 4_000, 2**30


@dataclass(frozen=True)
class StoredFile:
    """A data file.

    Attributes:
        path: below the table's folder, as Delta's log writes it (a URI).
        size: in bytes.
        modified_ms: when it was written, in milliseconds since 1970.
    """

    path: str
    size: int
    modified_ms: int


@dataclass(frozen=True)
class Merge:
    """Files that become one.

    Attributes:
        table: folder or URI of the table.
        folder: below it, of all the files.
        columns: of the table, without those that it is partitioned by.
        files: in the order in which they were written.
    """

    table: str
    folder: str
    columns: pa.Schema
    files: tuple[StoredFile, ...]

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(file.size for file in self.files)


def chosen_files(files: Iterable[StoredFile]) -> list[tuple[StoredFile, ...]]:
    """The files of a folder that are to be merged: each group becomes one file, the others stay.

    Afterwards there are at most ``MOST_FILES``. A file is written again only together with about as much that is
    smaller: while late records keep coming, each record is written a few times, not at each run.

    Returns:
        Groups of at least two files, each in the order in which its files were written; none if there are few enough.
    """
    by_size = sorted(files, key=lambda file: (file.size, file.path))
    if len(by_size) <= MOST_FILES:
        return []
    count = len(by_size) - MOST_FILES + 1
    total = sum(file.size for file in by_size[:count])
    while count < len(by_size) and by_size[count].size <= min(total, _FILE_BYTES):
        total += by_size[count].size
        count += 1
    groups = min(max(1, total // _FILE_BYTES), MOST_FILES - (len(by_size) - count))
    return [
        tuple(sorted(group, key=lambda file: (file.modified_ms, file.path)))
        for group in _divided(by_size[:count], groups)
        if len(group) > 1
    ]


def transactions(merges: Iterable[Merge]) -> Iterator[list[Merge]]:
    """Merges that are done and committed together."""
    together: list[Merge] = []
    files = size = 0
    for merge in merges:
        files, size = files + len(merge.files), size + merge.size
        if together and (len(together) == _MERGES or files > _INPUT_FILES or size > _INPUT_BYTES):
            yield together
            together, files, size = [], len(merge.files), merge.size
        together.append(merge)
    if together:
        yield together


def _divided(files: Sequence[StoredFile], count: int) -> list[list[StoredFile]]:
    """Deal files out to groups of about the same size."""
    groups: list[list[StoredFile]] = [[] for _ in range(count)]
    sizes = [0] * count
    for file in sorted(files, key=lambda file: -file.size):
        smallest = sizes.index(min(sizes))
        groups[smallest].append(file)
        sizes[smallest] += file.size
    return groups
