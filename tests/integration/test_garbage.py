"""A flood of garbage, however large, is counted as invalid in bounded memory, and what follows it is counted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from pyspark.sql import SparkSession

from bytemeter.feeds import DEVICES
from bytemeter.history.table import History, InvalidMessages
from bytemeter.settings import Settings
from speed_layer.engine.live_store import LiveStore, MicroBatch
from tests.commands import endpoints
from tests.messages import device

Rows = Callable[..., list[tuple[Any, ...]]]

GOOD = [device(bytes=size, timestamp=int(time.time()) - 60) for size in range(1, 11)]
ACCOUNT = "select sum(received), sum(counted), sum(invalid) from ledger"
# For tests of which a task could read everything otherwise.
SMALL = {"max_bytes_per_batch": 40 * 2**20, "invalid_payload_bytes": 1_000}
_GIB = 2**30


def garbage(count: int, size: int) -> Iterable[bytes]:
    """Different messages that are no JSON."""
    return (b"garbage %d " % number + bytes(size - len(b"garbage %d " % number)) for number in range(count))


def send(place: Settings, values: Iterable[bytes], **settings: Any) -> None:
    """Send messages to partition 0 of devices."""
    to = Producer({"bootstrap.servers": place.kafka, "message.max.bytes": 20_000_000, "linger.ms": 50, **settings})
    for value in values:
        while True:
            try:
                to.produce(f"{place.topic_prefix}devices", value, partition=0)
                break
            except BufferError:
                to.poll(1)
    assert to.flush(120) == 0


@dataclass
class Memory:
    """The largest resident memory of each kind of process, in bytes."""

    most: dict[str, int] = field(default_factory=dict)

    def look(self, process: psutil.Process) -> None:
        """Look at a driver and its descendants: the JVM, and the Python workers."""
        for descendant in [process, *process.children(recursive=True)]:
            try:
                resident = descendant.memory_info().rss
                # By the program: a process that the JVM has just forked has the JVM's memory, and the name of a thread.
                is_java = Path(descendant.exe()).name == "java"
                kind = "driver" if descendant == process else "JVM" if is_java else "worker"
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            self.most[kind] = max(self.most.get(kind, 0), resident)


def stream_in_its_own_process(place: Settings) -> Memory:
    """Run ``bytemeter stream --once devices`` with the settings' defaults, and watch its memory."""
    command = [sys.executable, "-m", "cli", *endpoints(place), "stream", "--once", "devices"]
    environment = {**os.environ, "BYTEMETER_TOPIC_PREFIX": place.topic_prefix, "BYTEMETER_HISTORY_INTERVAL_S": "0"}
    memory = Memory()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        process = psutil.Process(running.pid)
        while True:
            try:
                _, errors = running.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                memory.look(process)
        assert running.returncode == 0, errors[-3_000:]
    return memory


@pytest.mark.parametrize(
    ("few", "many", "size"), [(60, 1_500, 1_000_000), (30_000, 500_000, 2_000)], ids=["large", "many"]
)
def test_a_flood_of_garbage_is_listed_and_kept_and_what_follows_it_is_counted(
    few: int,
    many: int,
    size: int,
    full: bool,
    place: Settings,
    spark: SparkSession,
    stream: Callable[..., None],
    rows: Rows,
) -> None:
    count = many if full else few
    send(place, garbage(count, size))
    send(place, GOOD)
    if full:
        memory = stream_in_its_own_process(place)
        assert memory.most["JVM"] < 3.5 * _GIB, memory
        assert memory.most["driver"] < 1.5 * _GIB, memory
        assert memory.most["worker"] < _GIB, memory
    else:
        stream(settings=place.model_copy(update=SMALL))
    kept = min(size, place.invalid_payload_bytes if full else SMALL["invalid_payload_bytes"])
    assert rows(ACCOUNT) == [(count + 10, 10, count)]
    assert rows("select sum(value)::bigint from bytes where type like 'app%'") == [(55,)]
    first = next(iter(garbage(1, size)))
    ((payload, digest),) = rows("select payload, digest from invalid_events where record_offset = 0")
    assert (bytes(payload), bytes(digest)) == (first[:kept], hashlib.sha256(first).digest())
    assert rows("select distinct reason, length, octet_length(payload) from invalid_events") == [
        ("not JSON", size, kept)
    ]
    # Each transaction has its own time: the micro-batch was counted in several.
    assert rows("select count(distinct received_at) > 1 from invalid_events") == [(True,)]
    assert History(spark, place.require_history(), DEVICES).read().count() == 10
    whole = InvalidMessages(spark, place.require_history(), DEVICES).read()
    digests = {bytes(row.digest) for row in whole.selectExpr("unhex(sha2(value, 256)) as digest").collect()}
    listed = {bytes(digest) for (digest,) in rows("select digest from invalid_events")}
    assert (whole.count(), digests) == (count, listed)


def test_a_start_goes_on_at_the_slice_that_was_not_counted(
    place: Settings, stream: Callable[..., None], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(place, garbage(60, 1_000_000))
    send(place, GOOD)
    commit, counted = LiveStore.commit, []

    def failing(store: LiveStore, batch: MicroBatch) -> None:
        if len(counted) == 2:
            raise RuntimeError("as if the process ended here")
        counted.append(batch)
        commit(store, batch)

    with monkeypatch.context() as patch:
        patch.setattr(LiveStore, "commit", failing)
        with pytest.raises(RuntimeError):
            stream(settings=place.model_copy(update=SMALL), history=False)
    ((reached,),) = rows("select next_offset from ledger where partition = 0")
    assert 0 < reached < 60
    stream(settings=place.model_copy(update=SMALL), history=False)
    assert rows(ACCOUNT) == [(70, 10, 60)]
    assert rows("select count(*) from invalid_events") == [(60,)]


def test_compressed_garbage_is_as_large_as_any_other(
    full: bool, place: Settings, stream: Callable[..., None], rows: Rows
) -> None:
    """A fetch is bounded by the bytes that the broker sends: here it is 200 times as large once decompressed.

    At full size all of it would fill the heap of the session.
    """
    count = 1_500 if full else 150
    send(place, garbage(count, 1_000_000), **{"compression.type": "lz4"})
    send(place, GOOD)
    stream(history=False)
    assert rows(ACCOUNT) == [(count + 10, 10, count)]


def test_slices_may_begin_and_end_at_transaction_markers_and_aborted_messages(
    place: Settings, stream: Callable[..., None], rows: Rows
) -> None:
    """Ranges of offsets have fewer messages than offsets, or none."""
    to = Producer({"bootstrap.servers": place.kafka, "transactional.id": place.topic_prefix, "linger.ms": 0})
    to.init_transactions(30)
    for number, value in enumerate(garbage(90, 900_000)):
        to.begin_transaction()
        to.produce(f"{place.topic_prefix}devices", value, partition=0)
        to.flush(30)
        if number % 3:
            to.commit_transaction(30)
        else:
            to.abort_transaction(30)
    send(place, GOOD)
    stream(settings=place.model_copy(update=SMALL), history=False)
    assert rows(ACCOUNT) == [(70, 10, 60)]
    assert rows("select next_offset from ledger where partition = 0") == [(190,)]
    assert rows("select count(distinct received_at) > 1 from invalid_events") == [(True,)]


def test_a_message_that_is_larger_than_a_micro_batch_may_be_is_counted_or_listed(
    place: Settings, spark: SparkSession, stream: Callable[..., None], rows: Rows
) -> None:
    allow_large_messages(place)
    padded = GOOD[9].removesuffix(b"}") + b',"ignored":"' + b"x" * 18_000_000 + b'"}'
    invalid = list(garbage(1, 18_000_000))
    send(place, [padded, *invalid, padded, *GOOD])
    stream(settings=place.model_copy(update={"max_bytes_per_batch": 2**24}))
    assert rows(ACCOUNT) == [(13, 12, 1)]
    assert rows("select length, octet_length(payload) from invalid_events") == [(18_000_000, 65_536)]
    assert rows("select sum(value)::bigint from bytes where type like 'app%'") == [(75,)]
    assert History(spark, place.require_history(), DEVICES).read().count() == 12
    whole = InvalidMessages(spark, place.require_history(), DEVICES).read().collect()
    assert [bytes(row.value) for row in whole] == invalid


def test_json_that_is_nested_however_deep_is_invalid_like_any_other(
    place: Settings, stream: Callable[..., None], rows: Rows
) -> None:
    deep = 100_000
    nested = [
        b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep, b"[" * deep,
        GOOD[0].removesuffix(b"}") + b',"ignored":' + b"[" * deep + b"]" * deep + b"}",
    ]  # fmt: skip
    text = GOOD[9].removesuffix(b"}") + b',"ignored":"' + b"[{" * deep + b'"}'
    send(place, [*nested, text, *GOOD])
    stream()
    assert rows(ACCOUNT) == [(15, 11, 4)]
    assert rows("select reason, count(*) from invalid_events group by reason") == [("not JSON", 4)]


def allow_large_messages(place: Settings) -> None:
    """Let the topic take messages of 20 MB."""
    resource = ConfigResource("topic", f"{place.topic_prefix}devices")
    resource.add_incremental_config(
        ConfigEntry("max.message.bytes", "20000000", incremental_operation=AlterConfigOpType.SET)
    )
    admin = AdminClient({"bootstrap.servers": str(place.kafka)})
    (altered,) = admin.incremental_alter_configs([resource]).values()
    altered.result(30)
