"""Executors merge data files: all rows of some files into a new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import parquet

from batch_layer.maintenance.plan import Merge, StoredFile
from bytemeter.history.storage import filesystem_of
from bytemeter.history.writing import ROW_GROUP_BYTES, write_file

MERGED = pa.schema(
    [
        *(("merge", pa.int64()), ("table", pa.string()), ("path", pa.string())),
        *(("size", pa.int64()), ("records", pa.int64()), ("written_ms", pa.int64())),
    ]
)
# Small files are read at the same time: a bucket takes a tenth of a second for each.
_READERS = 8
_READ_TOGETHER_BYTES = 4 * 2**20


def merge_files(share: tuple[int, Merge]) -> Iterator[pa.Table]:
    """Write a new file of all rows of the files of a merge, in their order. It is not committed.

    Holds a row group of 32 MiB of Arrow columns in memory, and one of the files that it reads.

    Args:
        share: the index of the merge among those that are done together, and the merge.

    Returns:
        A row of merge: long (the index) and the attributes of ``bytemeter.history.writing.Written``.
    """
    index, merge = share
    written = write_file(merge.table, merge.folder, _row_groups(_rows(merge)), merge.columns)
    yield pa.Table.from_pylist([{"merge": index, **asdict(written)}], MERGED)


def _rows(merge: Merge) -> Iterator[pa.Table]:
    with ThreadPoolExecutor(_READERS, "reading") as readers:
        for files in _windows(merge.files):
            if len(files) == 1:
                yield from _row_groups_of(merge, files[0])
            else:
                yield from readers.map(lambda file: pa.concat_tables(_row_groups_of(merge, file)), files)


def _windows(files: Iterable[StoredFile]) -> Iterator[list[StoredFile]]:
    """The files, as many at a time as are small together."""
    window: list[StoredFile] = []
    size = 0
    for file in files:
        size += file.size
        if window and (size > _READ_TOGETHER_BYTES or len(window) == _READERS):
            yield window
            window, size = [], file.size
        window.append(file)
    yield window


def _row_groups_of(merge: Merge, file: StoredFile) -> Iterator[pa.Table]:
    """The rows of a file; a column that was added to the table after the file was written is null."""
    filesystem, root = filesystem_of(merge.table)
    with filesystem.open_input_file(f"{root}/{unquote(file.path)}") as source:
        stored = parquet.ParquetFile(source, coerce_int96_timestamp_unit="us")
        names = [name for name in merge.columns.names if name in stored.schema_arrow.names]
        yield merge.columns.empty_table()
        for group in range(stored.num_row_groups):
            rows = stored.read_row_group(group, names, use_threads=False)
            yield pa.table([_column(field, rows) for field in merge.columns], schema=merge.columns)


def _column(field: pa.Field, rows: pa.Table) -> pa.ChunkedArray | pa.Array:
    if field.name in rows.schema.names:
        return rows.column(field.name).cast(field.type)
    return pa.nulls(rows.num_rows, field.type)


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows, as many at a time as make a row group."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        waiting.append(table)
        size += table.nbytes
        if size >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
