"""Few files are left, and little is written again and again."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.maintenance.plan import MOST_FILES, Merge, StoredFile, chosen_files, transactions

MIB = 2**20


def stored(*sizes: int) -> list[StoredFile]:
    """Files of these sizes, in the order in which they were written."""
    return [StoredFile(f"file-{n}", size, n) for n, size in enumerate(sizes)]


def after(files: list[StoredFile]) -> list[StoredFile]:
    """The files of an hour once it is compacted."""
    groups = chosen_files(files)
    merged = {file for group in groups for file in group}
    made = [
        StoredFile("+".join(f.path for f in group), sum(f.size for f in group), group[-1].modified_ms)
        for group in groups
    ]
    return [*(file for file in files if file not in merged), *made]


@given(st.lists(st.integers(1, 4_000 * MIB), max_size=60))
def test_at_most_eight_files_are_left_and_no_byte_is_lost(sizes: list[int]) -> None:
    left = after(stored(*sizes))
    assert len(left) <= MOST_FILES
    assert sum(file.size for file in left) == sum(sizes)


def test_few_files_stay_however_small() -> None:
    assert chosen_files(stored(*[1] * MOST_FILES)) == []


def test_a_large_file_is_not_written_again_for_some_small_ones() -> None:
    (group,) = chosen_files(stored(200 * MIB, *[1] * 50))
    assert [file.path for file in group] == [f"file-{n}" for n in range(1, 51)]


def test_files_are_merged_in_the_order_in_which_they_were_written() -> None:
    (group,) = chosen_files(stored(9, 8, 7, 6, 5, 4, 3, 2, 1))
    assert [file.modified_ms for file in group] == sorted(file.modified_ms for file in group)
    assert len(group) >= 2


def test_an_hour_of_many_gigabytes_has_eight_files_of_about_the_same_size() -> None:
    left = after(stored(*[200 * MIB] * 100))
    assert len(left) == 8
    assert max(file.size for file in left) <= 1.1 * min(file.size for file in left)


def test_late_records_that_keep_coming_are_written_a_few_times_each() -> None:
    """A late file in each of 120 commits between two runs, for a week of hourly runs."""
    files, written, rounds = stored(100 * MIB), 0, 24 * 7
    for _ in range(rounds):
        files += stored(*[1_000] * 120)
        written += sum(file.size for group in chosen_files(files) for file in group)
        files = after(files)
        assert len(files) <= MOST_FILES
    assert written < 8 * rounds * 120 * 1_000


def test_merges_are_committed_in_bounded_transactions() -> None:
    merges = [Merge("table", f"event_hour={n}", pa.schema([]), tuple(stored(*[100 * MIB] * 3))) for n in range(10)]
    done = list(transactions(merges))
    assert [merge for together in done for merge in together] == merges
    assert {sum(merge.size for merge in together) for together in done} == {900 * MIB, 300 * MIB}
    (alone,) = transactions([Merge("table", "event_hour=1", pa.schema([]), tuple(stored(9_000 * MIB, 1)))])
    assert len(alone) == 1
