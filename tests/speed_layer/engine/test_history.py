"""The history query commits the files of each micro-batch once, after the micro-batch before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES
from bytemeter.history.table import History, InvalidMessages
from bytemeter.history.writing import HistoryFiles
from bytemeter.offset_log import OffsetLog
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.history import HistoryBatches
from speed_layer.engine.live_query import FeedOffsets
from speed_layer.engine.slices import Bounds, Slices
from tests.histories import messages_of
from tests.messages import device

TASK_BYTES = 2**20


@pytest.fixture
def batches(spark: SparkSession, tmp_path: Path) -> Iterator[HistoryBatches]:
    queue = CommitQueue()
    yield started(spark, tmp_path, queue)
    queue.close()


def started(spark: SparkSession, folder: Path, queue: CommitQueue) -> HistoryBatches:
    """Batches that go on where the tables in the folder end."""
    root = str(folder / "history")
    history, invalid = History(spark, root, DEVICES), InvalidMessages(spark, root, DEVICES)
    for table in (history, invalid):
        table.create()
    end, invalid_ends = history.end_offsets(), invalid.end_offsets()
    slices = Slices(never, Bounds(TASK_BYTES, 2, 2 * TASK_BYTES))
    return HistoryBatches(history, invalid, queue, OffsetLog(folder), "devices", end, end, invalid_ends, slices)


def never(*_: FeedOffsets) -> DataFrame:
    raise AssertionError("these micro-batches are small enough to be read as they are")


def read(batches: HistoryBatches, batch_id: int, first: int, *values: bytes) -> None:
    """Do what Spark does: write the offset log, then call the batch function."""
    log = batches.offset_log.checkpoint / "offsets"
    log.mkdir(exist_ok=True)
    (log / str(batch_id)).write_text("\n".join(["v1", "{}", json.dumps({"devices": {"0": first + len(values)}})]))
    history = batches.history
    files = HistoryFiles(history.feed, history.path, batches.invalid.path, TASK_BYTES, batches.invalid_ends)
    messages = messages_of(history.session, [(0, first + n, value) for n, value in enumerate(values)])
    batches(files.of(messages), batch_id)


def test_micro_batches_are_committed_one_after_the_other(batches: HistoryBatches) -> None:
    read(batches, 0, 0, device(), device())
    read(batches, 1, 2, device(), b"not JSON")
    batches.commits.close()
    assert batches.history.end_offsets() == batches.end_offsets == {0: 4}
    assert sorted(row.offset for row in batches.history.read().collect()) == [0, 1, 2]


def test_a_commit_of_another_process_ends_the_next_micro_batch(batches: HistoryBatches) -> None:
    batches.history.append([], {0: 5}, after={})
    read(batches, 0, 0, device())
    with pytest.raises(BytemeterError) as caught:
        read(batches, 1, 1, device())
    assert "\n" not in str(caught.value)
    assert batches.history.end_offsets() == {0: 5}
    assert batches.history.read().count() == 0


def test_invalid_messages_are_kept_once_though_the_process_ends_before_the_records_are_committed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start reads other micro-batches: here first a shorter one, then one that goes further."""
    with monkeypatch.context() as patch:
        patch.setattr(History, "append", failing)
        ended = started(spark, tmp_path, CommitQueue())
        read(ended, 0, 0, device(), b"bad 1", device(), b"bad 3")
        ended.commits.close()
    assert (ended.history.end_offsets(), ended.invalid.end_offsets()) == ({}, {0: 4})
    batches = started(spark, tmp_path, CommitQueue())
    read(batches, 0, 0, device(), b"bad 1")
    read(batches, 1, 2, device(), b"bad 3", device(), b"bad 5")
    batches.commits.close()
    assert sorted(row.offset for row in batches.history.read().collect()) == [0, 2, 4]
    invalid = batches.invalid.read().collect()
    assert sorted((row.offset, bytes(row.value)) for row in invalid) == [(1, b"bad 1"), (3, b"bad 3"), (5, b"bad 5")]
    assert (batches.history.end_offsets(), batches.invalid.end_offsets()) == ({0: 6}, {0: 6})


def test_without_invalid_messages_their_table_has_no_commit(batches: HistoryBatches) -> None:
    read(batches, 0, 0, device())
    batches.commits.close()
    assert (batches.history.end_offsets(), batches.invalid.end_offsets()) == ({0: 1}, {})


def failing(*_: object, **__: object) -> None:
    raise RuntimeError("as if the process ended here")
