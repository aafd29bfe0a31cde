"""Compaction: fewer files with the same rows, beside a writer and readers."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pyarrow import parquet
from pyspark.sql import Row, SparkSession

from batch_layer.maintenance.compaction import Compacted, Compaction
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS, DEVICES
from bytemeter.history import delta
from bytemeter.history.ends import Ends
from bytemeter.history.feed_table import retention_properties
from bytemeter.history.reading import Split, columns_of, read
from bytemeter.history.table import History, InvalidMessages
from bytemeter.history.writing import HistoryFiles, filesystem_of
from tests.buckets import FOLDER_AND_BUCKET
from tests.histories import as_written, keep, messages_of, written
from tests.messages import data_record, device

HOUR = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
HOUR_S = int(HOUR.timestamp())
AN_HOUR = dt.timedelta(hours=1)
LATER = HOUR + dt.timedelta(days=1)


@pytest.fixture
def history(spark: SparkSession, history_root: str) -> History:
    """An empty history of devices."""
    history = History(spark, history_root, DEVICES)
    history.create()
    return history


def keep_files(history: History, count: int, first: int = 0, hour: dt.datetime = HOUR) -> int:
    """Commit files of two records of an hour; returns the end offset."""
    at = int(hour.timestamp())
    values = [device(bytes=n, timestamp=at + n) for n in range(2 * count)]
    return keep(history, hour, first, *values, files=count)


def compact(history: Any, now: dt.datetime = LATER, **options: Any) -> Compacted:
    """Compact hours that ended an hour before now."""
    return Compaction(history, now, AN_HOUR, **options).run()


def files_by_folder(history: Any) -> Counter[str]:
    """How many files each folder has in the latest version."""
    paths = [row.path for row in delta.files(history.session, history.path).collect()]
    return Counter(path.rpartition("/")[0] for path in paths)


def rows_of(history: History) -> list[Row]:
    """All rows, in the order of their offsets."""
    return sorted(history.read().collect(), key=lambda row: row.offset)


def folder(hour: dt.datetime) -> str:
    """The folder of an hour."""
    return f"event_date={hour:%Y-%m-%d}/event_hour={hour.hour}"


def in_between(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Do something between the start of the next commit and its end."""
    commit = delta._commit

    def later(*given: Any) -> None:
        monkeypatch.setattr(delta, "_commit", commit)
        what()
        commit(*given)

    monkeypatch.setattr(delta, "_commit", later)


@FOLDER_AND_BUCKET
def test_quiet_hours_have_few_files_with_the_same_rows(history: History) -> None:
    now = HOUR + 2 * AN_HOUR
    end = keep_files(history, 12)
    end = keep_files(history, 3, end, HOUR - AN_HOUR)
    end = keep_files(history, 9, end, now)
    before = rows_of(history)
    assert compact(history, now) == Compacted(folders=1, merged=12, written=1)
    assert files_by_folder(history) == {folder(HOUR): 1, folder(HOUR - AN_HOUR): 3, folder(now): 9}
    assert rows_of(history) == before
    assert history.end_offsets() == {0: end}


def test_recomputes_read_a_compacted_file(history: History) -> None:
    keep_files(history, 12)
    compact(history)
    (file,) = history.files(HOUR, HOUR + AN_HOUR)
    (added,) = delta.files(history.session, history.path).where(f"path like '{folder(HOUR)}%'").collect()
    assert (file.size, added.stats) == (added.size, '{"numRecords": 24}')
    ((_, rows),) = read(Split(file), columns_of(DEVICES, "offset", "bytes"))
    assert sorted(rows.column("offset").to_pylist()) == list(range(24))


def test_a_second_run_finds_nothing_to_do_until_more_late_records_come(history: History) -> None:
    end = keep_files(history, 9)
    compact(history)
    assert compact(history) == Compacted()
    keep_files(history, 8, end)
    assert compact(history).written == 1
    assert files_by_folder(history)[folder(HOUR)] <= 8


def test_a_dry_run_changes_nothing(history: History) -> None:
    keep_files(history, 9)
    assert compact(history, dry_run=True) == Compacted(folders=1, merged=9, written=1)
    assert files_by_folder(history) == {folder(HOUR): 9}


def test_microseconds_and_compression_are_those_of_the_history_query(spark: SparkSession, history_root: str) -> None:
    history = History(spark, history_root, DATA_RECORDS)
    history.create()
    at = "2026-11-21T10:00:00.0000{:02}Z[UTC]"
    keep(history, HOUR, 0, *(data_record(recordedAt=at.format(n)) for n in range(9)), files=9)
    compact(history)
    assert [row.event_time.microsecond for row in rows_of(history)] == list(range(9))
    (file,) = history.files(HOUR, HOUR + AN_HOUR)
    filesystem, root = filesystem_of(history.path)
    with filesystem.open_input_file(f"{root}/{file.path}") as source:
        metadata = parquet.ParquetFile(source).metadata
        column = next(c for c in range(metadata.num_columns) if metadata.schema.column(c).name == "event_time")
        assert metadata.row_group(0).column(column).compression == "ZSTD"
        assert "timeUnit=microseconds" in str(metadata.schema.column(column).logical_type)


def test_columns_that_were_added_later_are_kept(history: History) -> None:
    end = keep_files(history, 8)
    history.session.sql(f"alter table delta.`{history.path}` add column (note string)")
    row = history.read().where("offset = 1").selectExpr("* except (offset, note)", "100l as offset", "'seen' as note")
    row.write.format("delta").mode("append").save(history.path)
    compact(history)
    assert files_by_folder(history) == {folder(HOUR): 1}
    assert [(row.offset, row.note) for row in rows_of(history)][-2:] == [(end - 1, None), (100, "seen")]


def test_files_whose_rows_were_deleted_in_part_stay(history: History) -> None:
    keep_files(history, 10)
    run = history.session.sql
    run(f"alter table delta.`{history.path}` set tblproperties ('delta.enableDeletionVectors' = 'true')")
    run(f"delete from delta.`{history.path}` where offset = 5")
    before = rows_of(history)
    assert compact(history) == Compacted(folders=1, merged=9, written=1)
    assert rows_of(history) == before


def test_columns_that_are_stored_by_other_names_are_refused(history: History) -> None:
    keep_files(history, 9)
    columns = "('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')"
    history.session.sql(f"alter table delta.`{history.path}` set tblproperties {columns}")
    with pytest.raises(BytemeterError, match="stored by other names"):
        compact(history)


def test_invalid_messages_of_earlier_days_and_hours_are_compacted(spark: SparkSession, history: History) -> None:
    invalid = InvalidMessages(spark, history.root, DEVICES)
    invalid.create()
    now = dt.datetime.now(dt.UTC)
    rows = [(0, offset, b"rubbish %d" % offset) for offset in range(9)]
    messages = messages_of(spark, rows).repartition(9)
    writing = HistoryFiles(DEVICES, history.path, invalid.path, 2**30, gathered_bytes=0)
    invalid.append(as_written(writing.of(messages)), {0: 9}, after={})
    files = sum(files_by_folder(invalid).values())
    assert compact(invalid, now) == Compacted()
    assert compact(invalid, now + 2 * AN_HOUR) == Compacted(folders=1, merged=files, written=1)
    assert files > 8
    values = sorted(bytes(row.value) for row in invalid.read().collect())
    assert values == [b"rubbish %d" % offset for offset in range(9)]


@FOLDER_AND_BUCKET
def test_an_append_at_the_same_time_as_a_compaction_is_kept(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    end = keep_files(history, 9)
    in_between(monkeypatch, lambda: compact(history))
    end = keep_files(history, 1, end)
    assert files_by_folder(history) == {folder(HOUR): 2}
    end = keep_files(history, 7, end)
    in_between(monkeypatch, lambda: keep_files(history, 1, end))
    assert compact(history).left == 0
    assert [row.offset for row in rows_of(history)] == list(range(end + 2))
    assert history.end_offsets() == {0: end + 2}


def test_an_append_at_the_same_time_as_another_retention_is_kept(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = retention_properties(24)
    in_between(monkeypatch, lambda: delta.set_properties(history.session, history.path, properties))
    end = keep_files(history, 1)
    assert [row.offset for row in rows_of(history)] == list(range(end))
    assert delta.properties(history.session, history.path).items() >= properties.items()


def test_of_two_compactions_of_the_same_files_one_gives_up(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_files(history, 9)
    before = rows_of(history)
    in_between(monkeypatch, lambda: compact(history))
    assert compact(history) == Compacted(folders=1, left=1)
    assert files_by_folder(history) == {folder(HOUR): 1}
    assert rows_of(history) == before


@FOLDER_AND_BUCKET
def test_an_append_whose_answer_got_lost_is_kept_once(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage answers a commit that it has written with an error, as if another one had been first."""
    commit = delta._commit

    def answered_wrongly(*given: Any) -> None:
        monkeypatch.setattr(delta, "_commit", commit)
        commit(*given)
        raise delta.ConflictError("ConcurrentTransactionException")

    monkeypatch.setattr(delta, "_commit", answered_wrongly)
    assert keep_files(history, 1) == 2
    assert len(rows_of(history)) == 2


@pytest.mark.parametrize("release", ["this", "earlier"])
def test_compactions_do_not_hide_the_end_offsets(
    history: History, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    if release == "earlier":
        monkeypatch.setattr(
            Ends, "transactions",
            lambda self, end, **_: delta.Transactions(
                self.application, -1, {self.application: sum(end.values())}, "none"
            ),
        )  # fmt: skip
    history.append(written(history, device()), {0: 1, 1: 4}, after={})
    monkeypatch.undo()
    history.keep_end_offsets()
    for _ in range(3):
        delta.replace(history.session, history.path, [], [])
    assert history.end_offsets() == {0: 1, 1: 4}
    history.append(written(history, device()), {0: 2, 1: 4}, after={0: 1, 1: 4})
    assert replace(history).end_offsets() == {0: 2, 1: 4}
