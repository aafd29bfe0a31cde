"""The compaction of a day of devices, in as many files as the history query writes in a day."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from batch_layer.maintenance.compaction import Compaction
from batch_layer.maintenance.vacuum import Listing, Vacuum
from benchmarks.topics import Topics
from bytemeter.feeds import DEVICES
from bytemeter.history.table import History
from bytemeter.history.writing import Written, write_file

DAY = dt.datetime(2025, 11, 21, tzinfo=dt.UTC)
_AN_HOUR = dt.timedelta(hours=1)
# A commit every 30 s: of the hour itself, and of the three hours after it a few late records in each.
_COMMITS, _LATE_COMMITS, _LATE = 120, 360, 0.01
_WRITERS = 4


def measure_compaction(session: SparkSession, topics: Topics, records: int) -> None:
    """Time the compaction of a day, and a vacuum after it."""
    history = History(session, topics.place("compaction.").require_history(), DEVICES)
    history.create()
    hours = [DAY + number * _AN_HOUR for number in range(24)]
    with ThreadPoolExecutor(_WRITERS) as threads:
        files = [file for of_hour in threads.map(lambda h: _hour(history, h, records // 24), hours) for file in of_hour]
    history.append(files, {0: records}, after={})
    began, now = time.perf_counter(), DAY + dt.timedelta(days=2)
    done = Compaction(history, now, _AN_HOUR).run()
    compacted_s = time.perf_counter() - began
    began, later = time.perf_counter(), dt.datetime.now(dt.UTC) + dt.timedelta(days=8)
    deleted = Vacuum(history, later, dt.timedelta(days=7)).run(Listing.of(history))
    vacuumed_s = time.perf_counter() - began
    assert history.read().count() == records // 24 * 24  # noqa: S101, of a benchmark
    print(f"{f'compaction of a day, {records:,} records':<40} {compacted_s:.1f} s: {done.merged:,} files into "
          f"{done.written}; vacuum of {len(deleted):,} files {vacuumed_s:.1f} s", flush=True)  # fmt: skip


def _hour(history: History, hour: dt.datetime, records: int) -> list[Written]:
    """Write the files of an hour, which are not committed."""
    rows = _records(hour, records)
    late = max(_LATE_COMMITS, int(records * _LATE))
    cuts = [*np.linspace(0, records - late, _COMMITS, False), *np.linspace(records - late, records, _LATE_COMMITS + 1)]
    folder = f"event_date={hour:%Y-%m-%d}/event_hour={hour.hour}"
    parts = (rows.slice(start, end - start) for start, end in pairwise(int(cut) for cut in cuts))
    return [write_file(history.path, folder, [part], part.schema) for part in parts]


def _records(hour: dt.datetime, records: int) -> pa.Table:
    """Records of an hour, with the columns of the history."""
    draw, at_s = np.random.default_rng(hour.hour), int(hour.timestamp())
    ids = np.array([f"00000000-0000-0000-0000-{n:012d}" for n in range(100_000)])
    seconds = at_s + np.arange(records) * 3_600 // records
    columns = {
        "partition": pa.array(np.arange(records) % 3, pa.int32()),
        "offset": pa.array(np.arange(records) // 3 + hour.hour * records),
        "bytes": pa.array(draw.integers(500, 10_000, records)),
        "timestamp": pa.array(seconds),
        "app": pa.array(np.array([f"APP{n}" for n in range(12)])[draw.integers(0, 12, records)]),
        "id": pa.array(ids[draw.integers(0, len(ids), records)]),
        "antenna_id": pa.array(ids[draw.integers(0, 500, records)]),
        "event_id": pa.array([draw.bytes(16).hex() for _ in range(records)]),
        "event_time": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")),
    }
    return pa.table({name: columns[name] for name in ("partition", "offset", *DEVICES.names, "event_time")})
