"""The Delta table of a feed: what is committed is there once, for Spark and for others."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Feed, Field, Whole
from bytemeter.history import delta
from bytemeter.history.reading import Split, columns_of, read
from bytemeter.history.table import History
from bytemeter.offset_log import Offsets
from tests.histories import written
from tests.messages import agreement_document, data_record, device

HOUR_S = int(dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC).timestamp())


@pytest.fixture
def history(spark: SparkSession, tmp_path: Path) -> History:
    """An empty history of devices."""
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    return history


@pytest.mark.parametrize(
    ("feed", "message"), [(DEVICES, device()), (DATA_RECORDS, data_record()), (AGREEMENTS, agreement_document())]
)
def test_spark_and_others_read_the_same(spark: SparkSession, tmp_path: Path, feed: Feed, message: bytes) -> None:
    history = History(spark, str(tmp_path), feed)
    history.create()
    history.append(written(history, message), {0: 1}, after={})
    (row,) = history.read().collect()
    (other,) = DeltaTable(history.path).to_pyarrow_table().to_pylist()
    assert row.asDict() == other | {"event_time": other["event_time"].replace(tzinfo=None)}
    assert [row[name] for name in feed.names[:2]] != [None, None]
    assert (row.event_date, row.event_hour) == (row.event_time.date(), row.event_time.hour)


def test_files_that_are_not_committed_are_no_part_of_it(history: History) -> None:
    written(history, device())
    assert history.read().count() == 0
    assert history.end_offsets() == {}


def test_a_commit_tells_how_far_it_goes_even_without_files(history: History) -> None:
    history.append([], {0: 7, 1: 4}, after={})
    assert history.end_offsets() == {0: 7, 1: 4}
    assert history.read().count() == 0


def test_a_commit_that_comes_twice_is_kept_once(history: History) -> None:
    history.append(written(history, device(), device()), {0: 2}, after={})
    with pytest.raises(BytemeterError, match="another process writes to .*/devices .its version is 2, expected -1"):
        history.append(written(history, device(), device()), {0: 2}, after={})
    assert history.read().count() == 2


def test_of_commits_at_the_same_time_one_is_kept(history: History) -> None:
    both = [written(history, device()), written(history, device())]
    with ThreadPoolExecutor(2) as threads:
        ends = [threads.submit(history.append, files, {0: 1}, after={}) for files in both]
    (failure,) = [failure for end in ends if (failure := end.exception())]
    assert isinstance(failure, BytemeterError)
    assert history.read().count() == 1


def test_a_commit_between_another_ones_start_and_its_end_stops_it(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.append(written(history, device()), {0: 1}, after={})
    commit = delta._commit

    def later(*given: Any) -> None:
        monkeypatch.setattr(delta, "_commit", commit)
        history.append(written(history, device()), {0: 2}, after={0: 1})
        commit(*given)

    monkeypatch.setattr(delta, "_commit", later)
    with pytest.raises(BytemeterError, match="another process writes to .* .its version is 2, expected 1"):
        history.append(written(history, device()), {0: 3}, after={0: 1})
    assert history.end_offsets() == {0: 2}
    assert history.read().count() == 2


def test_neither_a_start_nor_a_commit_takes_a_job_of_spark(history: History) -> None:
    files = written(history, device())
    history.append([], {0: 0}, after={})
    context = history.session.sparkContext
    context.setJobGroup("no job", "of a start and a commit")
    try:
        history.create()
        history.append(files, {0: 1}, after=history.end_offsets())
        assert list(context.statusTracker().getJobIdsForGroup("no job")) == []
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
    assert history.read().count() == 1


@pytest.mark.parametrize("theirs", [{0: 1, 1: 0}, {0: 2, 1: 1}], ids=["as far", "farther"])
def test_another_process_that_wrote_meanwhile_stops_this_one(history: History, theirs: Offsets) -> None:
    """Its records are other ones than ours, also where the sum of its offsets is the same or less."""
    history.append([], {0: 0, 1: 0}, after={})
    history.append(written(history, device()), theirs, after={0: 0, 1: 0})
    for end in ({0: 0, 1: 1}, {0: 4, 1: 4}):
        with pytest.raises(BytemeterError, match="let one `bytemeter stream` write to it"):
            history.append(written(history, device()), end, after={0: 0, 1: 0})
    assert history.end_offsets() == theirs
    assert history.read().count() == 1


def test_a_table_with_other_columns_is_refused(history: History) -> None:
    table = replace(history, feed=replace(DEVICES, fields=(*DEVICES.fields, Field("roaming", Whole()))))
    with pytest.raises(BytemeterError, match=r"other columns than the feed devices: .* \[\('roaming', 'bigint'\)\]"):
        table.create()


def test_its_files_are_those_of_the_hours_asked_for(history: History) -> None:
    times = [HOUR_S - 1, HOUR_S, HOUR_S + 3_599, HOUR_S + 3_600, HOUR_S + 7_200]
    history.append(written(history, *(device(timestamp=at) for at in times)), {0: 5}, after={})
    start = dt.datetime.fromtimestamp(HOUR_S, dt.UTC)
    found = history.files(start, start + dt.timedelta(hours=2))
    assert [file.hour for file in sorted(found, key=lambda file: file.hour)] == [start, start + dt.timedelta(hours=1)]
    assert all((Path(file.table) / file.path).stat().st_size == file.size for file in found)


def test_deletion_vectors_are_refused_and_a_purge_helps(history: History) -> None:
    history.append(written(history, device(bytes=1), device(bytes=2)), {0: 2}, after={})
    run = history.session.sql
    run(f"alter table delta.`{history.path}` set tblproperties ('delta.enableDeletionVectors' = 'true')")
    run(f"delete from delta.`{history.path}` where bytes = 1")
    always = (dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(BytemeterError, match=r"REORG TABLE delta.`.*/devices` APPLY \(PURGE\)"):
        history.files(*always)
    run(f"reorg table delta.`{history.path}` apply (purge)")
    (file,) = history.files(*always)
    ((_, rows),) = read(Split(file), columns_of(DEVICES, "bytes"))
    assert rows.column("bytes").to_pylist() == [2]
