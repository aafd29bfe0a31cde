"""Telemetry while its process is killed at random moments: each message is counted once, and sent once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from confluent_kafka import Producer

from bytemeter.feeds import TELEMETRY
from bytemeter.settings import Settings
from bytemeter.telemetry import stages, topics
from tests.commands import endpoints
from tests.histories import delta_table
from tests.seeds import SEED
from tests.telemetry import create_topics, event, routed

Rows = Callable[..., list[tuple[Any, ...]]]
DEADLINE_S = 120
BATCH = 250
KINDS = ("START", "END", "IMPRESSION", "INTERACT", "AUDIT", "FEEDBACK", "SEARCH", "ERROR", "LOG")


class Traffic(NamedTuple):
    """What is sent, and how much of it is what."""

    values: list[bytes]
    valid: dict[str, tuple[str, bytes]]
    logs: int
    errors: int
    repeated: int
    invalid: int


def traffic(events: int, chance: random.Random) -> Traffic:
    """Events of an hour: a tenth invalid, a twentieth repeated with other bytes around the same event."""
    values: list[bytes] = []
    valid: dict[str, tuple[str, bytes]] = {}
    counts: Counter[str] = Counter()
    now_ms = time.time_ns() // 3_600_000_000_000 * 3_600_000
    for number in range(events):
        mid, eid = f"m{number}", chance.choice(KINDS)
        value = event(eid, mid, ets=now_ms - chance.randrange(3_600_000), tags=["x" * chance.randrange(300)])
        if chance.random() < 0.1:
            counts["invalid"] += 1
            values.append(chance.choice([value[:-9], value.replace(b'"ver"', b'"version"'), event("NOVEL", mid)]))
            continue
        values.append(value)
        if eid == "LOG":
            counts["logs"] += 1
            continue
        valid[mid] = (eid, value)
        counts["errors"] += eid == "ERROR"
        if chance.random() < 0.05:
            counts["repeated"] += 1
            values.append(value)
    chance.shuffle(values)
    return Traffic(values, valid, counts["logs"], counts["errors"], counts["repeated"], counts["invalid"])


def send(place: Settings, values: list[bytes], chance: random.Random) -> None:
    producer = Producer({"bootstrap.servers": place.kafka})
    for number, value in enumerate(values):
        producer.produce(place.topic_prefix + topics.RAW, value, partition=chance.randrange(3))
        if number % 10_000 == 0:
            producer.flush(30)
    assert producer.flush(30) == 0


@contextmanager
def streaming(place: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that counts telemetry in small micro-batches; killed at the end with its JVM."""
    environment = {
        **os.environ,
        "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
        "BYTEMETER_MAX_RECORDS_PER_BATCH": str(BATCH),
        "BYTEMETER_HISTORY_INTERVAL_S": "1",
        "BYTEMETER_DRIVER_MEMORY": "700m",
    }
    command = [sys.executable, "-m", "cli", *endpoints(place), "stream", "telemetry"]
    with log.open("ab") as to:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=to, stderr=to, start_new_session=True
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_killed_at_random_moments_each_event_is_counted_once_and_sent_once(
    place: Settings, tmp_path: Path, stream: Callable[..., None], rows: Rows, full: bool
) -> None:
    create_topics(place)
    chance = random.Random(SEED)
    sent = traffic(200_000 if full else 6_000, chance)
    send(place, sent.values, chance)

    def received() -> int:
        return int(rows("select coalesce(sum(received), 0) from ledger")[0][0])

    for _ in range(6 if full else 1):
        before, log = received(), tmp_path / "stream.log"
        with streaming(place, log) as process:
            deadline = time.monotonic() + DEADLINE_S
            while received() <= before + BATCH:
                assert process.poll() is None, log.read_text()[-2_000:]
                assert time.monotonic() < deadline, f"no progress within {DEADLINE_S} s"
            moment = time.monotonic() + chance.uniform(0, 0.5)
            while time.monotonic() < moment:
                assert received() < len(sent.values), "all was counted before the kill struck"
    stream(TELEMETRY)

    valid = len(sent.valid) + sent.logs
    account = "select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger"
    assert rows(account) == [(len(sent.values), valid, sent.repeated, sent.invalid)]
    messages = {topic: routed(place, topic) for topic in (topics.UNIQUE, topics.ERROR, topics.LOG)}
    expected = {topic: Counter[bytes | None]() for topic in messages}
    for eid, value in sent.valid.values():
        for outgoing in stages.sent_of(value, eid):
            expected[topics.ERROR if eid == "ERROR" else topics.UNIQUE][outgoing.value] += 1
    for topic in (topics.UNIQUE, topics.ERROR):
        assert Counter(message.value for message in messages[topic]) == expected[topic]
    counts = {topic: len(routed(place, topic)) for topic in (topics.FAILED, topics.DUPLICATE)}
    assert counts == {topics.FAILED: sent.invalid, topics.DUPLICATE: sent.repeated}
    assert len(messages[topics.LOG]) == sent.logs
    assert sum(counts.values()) + sum(map(len, messages.values())) == len(sent.values)
    assert dict(rows("select topic, messages from routed_messages")) == {
        **counts,
        **{topic: len(found) for topic, found in messages.items()},
        **{topic: len(routed(place, topic)) for topic in (topics.PRIMARY, topics.SECONDARY, topics.AUDIT)},
    }
    require_counts_of_history(place, rows)


def require_counts_of_history(place: Settings, rows: Rows) -> None:
    """Live totals equal a recomputation by DuckDB over the history."""
    history = delta_table(f"{place.history}/telemetry").to_pyarrow_table()  # noqa: F841, DuckDB finds it by its name
    recomputed = duckdb.sql(
        "select eid, epoch_us(event_time) // 300_000_000 * 300, count(distinct coalesce(mid, partition || '/' || \"offset\"))"
        " from history group by all order by all"
    ).fetchall()
    live = "select id, extract(epoch from timestamp)::bigint, value from event_counts where dimension = 'eid' order by 1, 2"
    assert rows(live) == recomputed
