"""`bytemeter maintain` as a process: killed at any moment beside a writer it loses nothing, and the next run ends it."""

from __future__ import annotations

import datetime as dt
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pyarrow.fs import FileSelector
from pyspark.sql import SparkSession

from batch_layer.maintenance.plan import MOST_FILES
from bytemeter.feeds import DEVICES
from bytemeter.history import delta
from bytemeter.history.reading import columns_of, read, splits
from bytemeter.history.storage import BUCKETS, filesystem_of
from bytemeter.history.table import History
from bytemeter.settings import Settings
from cli.main import main
from tests.buckets import FOLDER_AND_BUCKET
from tests.commands import endpoints, signal_handlers_restored
from tests.histories import delta_table, keep
from tests.messages import device

START = dt.datetime(2026, 11, 19, tzinfo=dt.UTC)
ALL = (dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
# More than are committed together.
HOURS = 70
FILES = MOST_FILES + 1
DEADLINE_S = 300


def start(place: Settings) -> subprocess.Popen[str]:
    """Start the command on the history."""
    arguments = ["--history", place.require_history(), "maintain"]
    database_url = {"BYTEMETER_DATABASE_URL": place.require_database_url()}
    environment = {**os.environ, **database_url, "BYTEMETER_DRIVER_MEMORY": "700m"}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def totals(history: History) -> tuple[int, int, int]:
    """Records, distinct offsets and bytes, as Spark, another reader of Delta, and a recompute read them."""
    rows = history.read().selectExpr("count(*)", "count(distinct offset)", "sum(bytes)").collect()[0]
    others = delta_table(history.path).to_pyarrow_table(columns=["offset", "bytes"]).to_pydict()
    assert tuple(rows) == (len(others["offset"]), len(set(others["offset"])), sum(others["bytes"]))
    if history.path.startswith(BUCKETS):
        # Files of a bucket are not read in this process: see tests/buckets.py.
        return tuple(rows)
    tables = [table for split in splits(history.files(*ALL)) for _, table in read(split, columns_of(DEVICES, "bytes"))]
    assert sum(sum(table.column("bytes").to_pylist()) for table in tables) == rows[2]
    return tuple(rows)


def data_files(history: History) -> int:
    """How many data files the folder of the table has, committed or not."""
    filesystem, root = filesystem_of(history.path)
    found = filesystem.get_file_info(FileSelector(root, recursive=True))
    return sum(file.base_name.startswith("part-") for file in found)


def append(history: History, end: int, draw: random.Random) -> int:
    """Commit a late record, as the history query does; returns the end offset."""
    hour = START + dt.timedelta(hours=draw.randrange(HOURS))
    return keep(history, hour, end, device(bytes=end, timestamp=int(hour.timestamp())))


@pytest.fixture
def history(spark: SparkSession, place: Settings, full: bool) -> History:
    """A history of many hours with more files than they should have."""
    if place.require_history().startswith(BUCKETS) and not full:
        pytest.skip("takes a minute: make faults")
    history = History(spark, place.require_history(), DEVICES)
    history.create()
    end = 0
    for number in range(HOURS):
        hour = START + dt.timedelta(hours=number)
        values = [device(bytes=end + n, timestamp=int(hour.timestamp())) for n in range(FILES)]
        end = keep(history, hour, end, *values, files=FILES)
    return history


@FOLDER_AND_BUCKET
def test_killed_at_any_moment_beside_a_writer_it_loses_nothing(
    history: History, place: Settings, rows: Callable[..., Any], seed: int, full: bool
) -> None:
    draw = random.Random(seed)
    end, kills = HOURS * FILES, 0
    # Requests to a bucket take their time, all the more beside a test that goes on writing.
    rounds, merges = (3, HOURS // 7) if history.path.startswith(BUCKETS) else (10, HOURS)
    for _ in range(rounds if full else 1):
        process, files = start(place), data_files(history)
        until, deadline = draw.randrange(1, merges), time.monotonic() + DEADLINE_S
        while process.poll() is None and data_files(history) - files < until:
            assert time.monotonic() < deadline
            end, files = append(history, end, draw), files + 1
        killed = process.poll() is None
        process.kill()
        _, errors = process.communicate()
        assert killed or process.returncode == 0, errors
        kills += killed
        assert totals(history) == (end, end, sum(range(end)))
    assert kills
    process = start(place)
    while process.poll() is None and end < HOURS * FILES + 60:
        end = append(history, end, draw)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert re.search(
        r"^devices: \d+ -> \d+ files .*: \d+ files of \d+ folders merged into \d+; 0 files deleted", output
    )
    # Nobody writes or kills any more: in the session of the test run, which spares the start of another.
    with signal_handlers_restored():
        assert main([*endpoints(place), "maintain"]) == 0
    paths = [row.path for row in delta.files(history.session, history.path).collect()]
    assert max(Counter(path.rpartition("/")[0] for path in paths).values()) <= MOST_FILES
    assert totals(history) == (end, end, sum(range(end)))
    assert history.end_offsets() == {0: end}
    outcomes = [outcome for (outcome,) in rows("select outcome from job_runs order by run")]
    assert outcomes[-2:] == ["done", "done"]
    assert "ended" in outcomes
    older = history.session.read.format("delta").option("versionAsOf", HOURS).load(history.path)
    assert older.count() == HOURS * FILES
