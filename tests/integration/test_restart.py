"""Killed at random moments, without its checkpoints and with a rival beside it: each byte is counted once."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.history.storage import BUCKETS
from bytemeter.settings import Settings
from simulator.traffic import Sent
from tests.buckets import FOLDER_AND_BUCKET
from tests.commands import endpoints, fake_java, signal_group
from tests.histories import delta_table
from tests.integration import oracle, plan_oracle
from tests.seeds import SEED

RECORDS = 60_000
COUNTED = (DEVICES, AGREEMENTS, DATA_RECORDS)
BATCH = 500
DEADLINE_S = 120

Rows = Callable[..., list[tuple[Any, ...]]]


def command(place: Settings, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", *endpoints(place), "stream", *arguments]


@contextmanager
def streaming(place: Settings, scratch: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that counts in small micro-batches; its scratch is in a folder of the test's."""
    scratch.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
        "BYTEMETER_MAX_RECORDS_PER_BATCH": str(BATCH),
        "BYTEMETER_HISTORY_INTERVAL_S": "1",
        "BYTEMETER_DRIVER_MEMORY": "700m",
        "TMPDIR": str(scratch),
    }
    with (scratch.parent / "stream.log").open("ab") as log:
        process = subprocess.Popen(
            command(place, *(feed.name for feed in COUNTED)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            signal_group(process, signal.SIGKILL)
            process.wait()


def received(rows: Rows) -> int:
    return int(rows("select coalesce(sum(received), 0) from ledger")[0][0])


def require_equal_sums(rows: Rows) -> None:
    sums = rows("select type, sum(value) from bytes group by type order by type")
    assert len({total for _, total in sums}) <= 1, f"a reader saw {sums}"


def watch(rows: Rows, process: subprocess.Popen[bytes], until: Callable[[], bool]) -> None:
    """Until then, every look sees sums that agree."""
    deadline = time.monotonic() + DEADLINE_S
    while not until():
        require_equal_sums(rows)
        assert process.poll() is None, "the streaming process ended by itself"
        assert time.monotonic() < deadline, f"no progress within {DEADLINE_S} s"
        # Looks without a pause would take half of the processor from the process that is watched.
        threading.Event().wait(0.05)


@FOLDER_AND_BUCKET
def test_killed_at_random_moments_every_byte_is_counted_once(
    place: Settings,
    tmp_path: Path,
    simulate: Callable[..., Sent],
    simulate_plans: Callable[..., None],
    stream: Callable[..., None],
    rows: Rows,
    full: bool,
) -> None:
    sent = simulate(RECORDS, late=0.02, duplicates=0.02, invalid=0.02)
    plans, plan_records = (100_000, 2_000_000) if full else (2_000, RECORDS)
    simulate_plans(plans, plan_records)
    chance = random.Random(SEED)
    in_bucket = place.require_history().startswith(BUCKETS)
    # What differs in a bucket are the history's files and its log, which one kill tears; all three there: make faults.
    for kill in (2,) if in_bucket and not full else range(3):
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)  # a lost checkpoint
        with streaming(place, scratch) as process:
            before = received(rows)
            watch(rows, process, lambda before=before: received(rows) > before + BATCH)
            if kill == 0 and not in_bucket:
                refused_beside(place, tmp_path / "java")
            moment = time.monotonic() + chance.uniform(0, 1.5)
            watch(rows, process, lambda moment=moment: time.monotonic() > moment)
            assert received(rows) < RECORDS + plans + plan_records, "all was counted before the kill struck"
            if kill == 1:
                process.kill()  # Python alone; its JVM ends by itself
            else:
                signal_group(process, signal.SIGKILL)
            process.wait()
        require_equal_sums(rows)
    stream(*COUNTED)
    require_devices(place, sent, rows)
    require_plans(place, rows)


def require_plans(place: Settings, rows: Rows) -> None:
    """Totals and events are those of an independent recomputation, each event once, and at least once on Kafka."""
    found = rows("""
        select agreement_id, year, month, total_recorded_bytes from data_plan_usage where latest_recorded_at is not null
    """)
    truth = plan_oracle.truth(place)
    assert {(id_, year, month): total for id_, year, month, total in found} == truth.totals
    emitted = rows("select event_id::text, agreement_id, threshold_percent from threshold_events")
    assert len(truth.thresholds) > 50
    assert len(emitted) == len({event_id for event_id, _, _ in emitted}) == len(truth.thresholds)
    assert {event_id for event_id, _, _ in emitted} == truth.thresholds
    assert {
        json.loads(message.value)["eventId"] for message in oracle.received(place, "threshold-events")
    } == truth.thresholds
    assert rows("select count(*) from threshold_events where published_at is null") == [(0,)]
    account = "select sum(received), sum(counted), sum(duplicate), sum(invalid), sum(unmatched) from ledger where feed = 'data-records'"
    assert rows(account) == [(truth.received, truth.counted, truth.duplicate, truth.invalid, 0)]


def require_devices(place: Settings, sent: Sent, rows: Rows) -> None:
    """Totals and the history are those of an independent recomputation, each record once."""
    truth = oracle.truth(place, time.time())
    assert truth.bytes == sent.valid_bytes
    assert rows(
        "select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger where feed = 'devices'"
    ) == [(RECORDS, sent.valid, sent.duplicates, sent.invalid)]
    found = rows("select type, id, extract(epoch from timestamp)::bigint, value from bytes")
    assert {(type_, id_, start): value for type_, id_, start, value in found} == truth.windows
    history = delta_table(f"{place.history}/devices").to_pyarrow_table(columns=["partition", "offset"]).to_pylist()
    positions = [(row["partition"], row["offset"]) for row in history]
    assert (
        len(positions)
        == len(set(positions))
        == RECORDS
        - sent.invalid
        + rows("select count(*) from invalid_events where feed = 'devices' and event_time is not null")[0][0]
    )


def refused_beside(place: Settings, java: Path) -> None:
    """A second process for the same feed says so in one line and ends; it needs no Spark for that, and here has none."""
    fake_java(java, "11.0.2")
    environment = {**os.environ, "BYTEMETER_TOPIC_PREFIX": place.topic_prefix, "JAVA_HOME": str(java)}
    second = subprocess.run(
        command(place, "devices"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert re.fullmatch(
        r"bytemeter: another process counts the feed devices \(process \d+ on \S+ holds the lease and is heard\); "
        "one is enough: stop the other first",
        line,
    )
