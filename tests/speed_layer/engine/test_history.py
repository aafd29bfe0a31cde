"""The history query commits the files of each micro-batch once, after the micro-batch before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES
from bytemeter.history.table import History
from bytemeter.history.writing import history_files
from bytemeter.offset_log import OffsetLog
from speed_layer.engine.commits import CommitQueue
from speed_layer.engine.history import HistoryBatches
from tests.messages import device

SCHEMA = "partition int, offset long, value binary"


@pytest.fixture
def batches(spark: SparkSession, tmp_path: Path) -> Iterator[HistoryBatches]:
    history, commits = History(spark, str(tmp_path / "history"), DEVICES), CommitQueue()
    history.create()
    yield HistoryBatches(history, commits, OffsetLog(tmp_path), "devices", {})
    commits.close()


def read(batches: HistoryBatches, batch_id: int, first: int, *values: bytes) -> None:
    """Do what Spark does: write the offset log, then call the batch function."""
    log = batches.offset_log.checkpoint / "offsets"
    log.mkdir(exist_ok=True)
    (log / str(batch_id)).write_text("\n".join(["v1", "{}", json.dumps({"devices": {"0": first + len(values)}})]))
    history = batches.history
    messages = history.session.createDataFrame([(0, first + n, value) for n, value in enumerate(values)], SCHEMA)
    batches(messages.transform(history_files(history.feed, history.path)), batch_id)


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
