"""The Delta table of a feed: what is committed is there once, for Spark and for others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Feed
from bytemeter.history import History, Written, history_files
from tests.bytemeter.test_parsing import text
from tests.bytemeter.test_plan_parsing import agreement, record


@pytest.fixture
def history(spark: SparkSession, tmp_path: Path) -> History:
    """An empty history of devices."""
    history = History(spark, str(tmp_path), DEVICES)
    history.create()
    return history


def written(history: History, *values: bytes) -> list[Written]:
    """Files of these messages, which are not committed."""
    rows = [(0, offset, value) for offset, value in enumerate(values)]
    messages = history.session.createDataFrame(rows, "partition int, offset long, value binary")
    files = messages.coalesce(1).transform(history_files(history.feed, history.path)).collect()
    return [Written(**file.asDict()) for file in files]


@pytest.mark.parametrize(("feed", "message"), [(DEVICES, text()), (DATA_RECORDS, record()), (AGREEMENTS, agreement())])
def test_spark_and_others_read_the_same(spark: SparkSession, tmp_path: Path, feed: Feed, message: bytes) -> None:
    history = History(spark, str(tmp_path), feed)
    history.create()
    history.append(written(history, message), {0: 1})
    (row,) = history.read().collect()
    (other,) = DeltaTable(history.path).to_pyarrow_table().to_pylist()
    assert row.asDict() == other | {"event_time": other["event_time"].replace(tzinfo=None)}
    assert [row[name] for name in feed.schema.names[:2]] != [None, None]
    assert (row.event_date, row.event_hour) == (row.event_time.date(), row.event_time.hour)


def test_files_that_are_not_committed_are_no_part_of_it(history: History) -> None:
    written(history, text())
    assert history.read().count() == 0
    assert history.end_offsets() == {}


def test_a_commit_tells_how_far_it_goes_even_without_files(history: History) -> None:
    history.append([], {0: 7, 1: 4})
    assert history.end_offsets() == {0: 7, 1: 4}
    assert history.read().count() == 0


def test_a_commit_that_comes_twice_is_kept_once(history: History) -> None:
    for _ in range(2):
        history.append(written(history, text(), text()), {0: 2})
    assert history.read().count() == 2


def test_of_commits_at_the_same_time_one_is_kept(history: History) -> None:
    both = [written(history, text()), written(history, text())]
    with ThreadPoolExecutor(2) as threads:
        ends = [threads.submit(history.append, files, {0: 1}) for files in both]
    assert sum(end.exception() is None for end in ends) >= 1
    assert history.read().count() == 1
