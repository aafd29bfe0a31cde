"""A process that was thought dead and goes on: the other one sends what it had counted, and it sends nothing more."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import SparkSession

from bytemeter.feeds import TELEMETRY
from bytemeter.settings import Settings
from bytemeter.telemetry import topics
from embedded.home import wait_until
from speed_layer.stream import Streams
from tests.commands import endpoints, signal_group
from tests.networks import running
from tests.telemetry import create_topics, routed
from tests.telemetry_events import event

Rows = Callable[..., list[tuple[Any, ...]]]
EVENTS = 600
DEADLINE_S = 120
# `bytemeter`, stopped with its JVM where PostgreSQL has committed a micro-batch, and Kafka is to commit its messages.
STOPPED = """
import os, signal, sys
from bytemeter.transactions import TransactionalProducer
from cli.__main__ import run
commit = TransactionalProducer.commit
def stop(producer, offsets):
    TransactionalProducer.commit = commit
    os.killpg(0, signal.SIGSTOP)
    commit(producer, offsets)
TransactionalProducer.commit = stop
sys.exit(run())
"""


@contextmanager
def stopped(place: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has counted a micro-batch, and is stopped before it has sent it."""
    environment = {
        **os.environ,
        "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
        "BYTEMETER_MAX_RECORDS_PER_BATCH": "250",
        "BYTEMETER_LEASE_S": "1",
        "BYTEMETER_DRIVER_MEMORY": "700m",
    }
    command = [sys.executable, "-c", STOPPED, *endpoints(place), "stream", "telemetry", "--no-keep"]
    with log.open("wb") as to:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=to, stderr=to, start_new_session=True
        )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            assert process.poll() is None, log.read_text()[-2_000:]
            assert time.monotonic() < deadline, f"not stopped within {DEADLINE_S} s"
            threading.Event().wait(0.05)
        yield process
    finally:
        signal_group(process, signal.SIGKILL)
        process.wait()


def test_a_process_that_goes_on_after_a_takeover_sends_nothing_more_and_says_so_in_one_line(
    place: Settings, as_writer: Settings, spark: SparkSession, put: Callable[..., None], rows: Rows, tmp_path: Path
) -> None:
    create_topics(place)
    put([event("START", f"m{n}") for n in range(EVENTS)], topic=topics.RAW)
    log = tmp_path / "stream.log"
    with stopped(place, log) as process:
        assert 0 < rows("select sum(counted) from ledger")[0][0] < EVENTS
        assert routed(place, topics.UNIQUE, uncommitted=True)
        quick = as_writer.model_copy(update={"lease_s": 1})
        with running(Streams(spark, quick, [TELEMETRY], history=False)):
            wait_until(lambda: len(routed(place, topics.UNIQUE)) == EVENTS, what="all events", log=log)
            put([event("START", f"later{n}") for n in range(EVENTS)], topic=topics.RAW)
            signal_group(process, signal.SIGCONT)
            assert process.wait(DEADLINE_S) == 1
            wait_until(lambda: len(routed(place, topics.UNIQUE)) == 2 * EVENTS, what="later events", log=log)
    said = [line for line in log.read_text().splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    assert re.fullmatch(r"bytemeter: .*telemetry.*", "\n".join(said)), log.read_text()
    mids = [message.document["mid"] for message in routed(place, topics.UNIQUE)]
    assert len(set(mids)) == len(mids) == 2 * EVENTS
    assert rows("select sum(counted), sum(duplicate) from ledger") == [(2 * EVENTS, 0)]
