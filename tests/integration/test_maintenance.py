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
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from batch_layer.maintenance.plan import MOST_FILES
from bytemeter.feeds import DEVICES
from bytemeter.history import delta
from bytemeter.history.reading import columns_of, read, splits
from bytemeter.history.table import History
from bytemeter.settings import Settings
from tests.histories import keep
from tests.messages import device

START = dt.datetime(2026, 11, 19, tzinfo=dt.UTC)
ALL = (dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC))
# More than are committed together.
HOURS = 70
FILES = MOST_FILES + 1
DEADLINE_S = 120


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
    others = DeltaTable(history.path).to_pyarrow_table(columns=["offset", "bytes"]).to_pydict()
    assert tuple(rows) == (len(others["offset"]), len(set(others["offset"])), sum(others["bytes"]))
    tables = [table for split in splits(history.files(*ALL)) for _, table in read(split, columns_of(DEVICES, "bytes"))]
    assert sum(sum(table.column("bytes").to_pylist()) for table in tables) == rows[2]
    return tuple(rows)


def append(history: History, end: int, draw: random.Random) -> int:
    """Commit a late record, as the history query does; returns the end offset."""
    hour = START + dt.timedelta(hours=draw.randrange(HOURS))
    return keep(history, hour, end, device(bytes=end, timestamp=int(hour.timestamp())))


@pytest.fixture
def history(spark: SparkSession, place: Settings) -> History:
    """A history of many hours with more files than they should have."""
    history = History(spark, place.require_history(), DEVICES)
    history.create()
    end = 0
    for number in range(HOURS):
        hour = START + dt.timedelta(hours=number)
        values = [device(bytes=end + n, timestamp=int(hour.timestamp())) for n in range(FILES)]
        end = keep(history, hour, end, *values, files=FILES)
    return history


def test_killed_at_any_moment_beside_a_writer_it_loses_nothing(
    history: History, place: Settings, rows: Callable[..., Any], seed: int, full: bool
) -> None:
    draw = random.Random(seed)
    end, kills, folder = HOURS * FILES, 0, Path(history.path)
    for _ in range(10 if full else 1):
        process, files = start(place), len(list(folder.rglob("*.parquet")))
        until, deadline = draw.randrange(1, HOURS), time.monotonic() + DEADLINE_S
        while process.poll() is None and len(list(folder.rglob("part-*"))) - files < until:
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
    process = start(place)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    paths = [row.path for row in delta.files(history.session, history.path).collect()]
    assert max(Counter(path.rpartition("/")[0] for path in paths).values()) <= MOST_FILES
    assert totals(history) == (end, end, sum(range(end)))
    assert history.end_offsets() == {0: end}
    outcomes = [outcome for (outcome,) in rows("select outcome from job_runs order by run")]
    assert outcomes[-2:] == ["done", "done"]
    assert "ended" in outcomes
    older = history.session.read.format("delta").option("versionAsOf", HOURS).load(history.path)
    assert older.count() == HOURS * FILES
