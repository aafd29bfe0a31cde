"""Rows of the history's files, read in splits."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES
from bytemeter.history.reading import File, Split, columns_of, read, splits, task_shares

HOUR = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_the_splits_of_a_file_are_all_of_it(tmp_path: Path, count: int) -> None:
    parquet.write_table(pa.table({"bytes": range(10)}), tmp_path / "some.parquet", row_group_size=3)
    file = File(0, str(tmp_path), "some.parquet", HOUR, 1)
    found = {}
    for index in range(count):
        for first, rows in read(Split(file, index, count), columns_of(DEVICES, "bytes")):
            found |= dict(enumerate(rows.column("bytes").to_pylist(), start=first))
    assert found == {n: n for n in range(10)}


def test_files_of_others_have_other_types_and_lack_what_was_added_later(tmp_path: Path) -> None:
    """As Spark writes them when it compacts, without an event_id."""
    instants = pa.array([HOUR, HOUR + dt.timedelta(microseconds=1)], pa.timestamp("us"))
    spark_like = pa.table({"event_time": instants, "app": ["A", "B"]})
    parquet.write_table(spark_like, tmp_path / "some.parquet", use_deprecated_int96_timestamps=True)
    columns = columns_of(DEVICES, "event_id", "event_time", "app")
    ((_, rows),) = read(Split(File(0, str(tmp_path), "some.parquet", HOUR, 1)), columns)
    assert rows.schema == columns
    assert rows.column("event_time").cast(pa.int64()).to_pylist() == [
        int(HOUR.timestamp()) * 1_000_000,
        int(HOUR.timestamp()) * 1_000_000 + 1,
    ]
    assert rows.column("event_id").to_pylist() == [None, None]


@given(st.lists(st.integers(0, 2**31), max_size=30), st.integers(1, 8))
def test_each_split_is_in_one_share_and_none_is_empty(sizes: list[int], cores: int) -> None:
    all_ = splits(File(number, "table", "path", HOUR, size) for number, size in enumerate(sizes))
    dealt = task_shares(all_, cores)
    assert sorted((split.file.id, split.index) for share in dealt for split in share) == sorted(
        (split.file.id, split.index) for split in all_
    )
    assert all(dealt)
    assert len(dealt) >= min(cores, len(all_))
    first = [sum(split.index == 0 for split in share) for share in dealt]
    assert not first or max(first) - min(first) <= 1


def test_a_file_without_a_required_column_is_an_error(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"app": ["A"]}), tmp_path / "some.parquet")
    split = Split(File(0, str(tmp_path), "some.parquet", HOUR, 1))
    with pytest.raises(BytemeterError, match=r"the file some.parquet of the history in .* has no column bytes;"):
        list(read(split, columns_of(DEVICES, "app", "bytes")))
