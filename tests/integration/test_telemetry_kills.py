"""Telemetry while its process is killed at random moments: each message is counted once, and sent once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from confluent_kafka import Producer

from bytemeter.feeds import TELEMETRY, TELEMETRY_DENORM, TELEMETRY_UNIQUE
from bytemeter.settings import Settings
from bytemeter.telemetry import enriching, stages, topics
from speed_layer.executor.telemetry import EventStage
from tests.commands import endpoints
from tests.histories import delta_table
from tests.seeds import SEED
from tests.telemetry import Routed, create_topics, routed
from tests.telemetry_events import document, event, known

Rows = Callable[..., list[tuple[Any, ...]]]
Values = Counter[bytes | None]
FEEDS = (TELEMETRY, TELEMETRY_UNIQUE, TELEMETRY_DENORM)
DEADLINE_S = 120
BATCH = 250
KINDS = ("START", "END", "IMPRESSION", "INTERACT", "INTERRUPT", "AUDIT", "FEEDBACK", "SHARE", "ERROR", "LOG")
DEVICES, KNOWN = 20, 12


class Traffic(NamedTuple):
    """What is sent, and what of it is what.

    Attributes:
        values: in the order in which they are sent.
        valid, repeated: events that are to be counted, and those that are duplicates, with their eid.
        invalid: how many fail.
    """

    values: list[bytes]
    valid: list[tuple[str, bytes]]
    repeated: list[tuple[str, bytes]]
    invalid: int


def traffic(events: int, chance: random.Random) -> Traffic:
    """Events of an hour: a tenth is invalid, a twentieth is sent twice."""
    values: list[bytes] = []
    valid: list[tuple[str, bytes]] = []
    repeated: list[tuple[str, bytes]] = []
    hour_ms = time.time_ns() // 3_600_000_000_000 * 3_600_000
    for number in range(events):
        mid, eid = f"m{number}", chance.choice(KINDS)
        ets = hour_ms - chance.randrange(3_600_000)
        value = event(eid, mid, ets=ets, context=_context(chance), tags=["x" * chance.randrange(300)])
        if chance.random() < 0.1:
            values.append(chance.choice([value[:-9], value.replace(b'"ver"', b'"version"'), event("NOVEL", mid)]))
            continue
        values.append(value)
        valid.append((eid, value))
        if eid != "LOG" and chance.random() < 0.05:
            repeated.append((eid, value))
            values.append(value)
    chance.shuffle(values)
    return Traffic(values, valid, repeated, len(values) - len(valid) - len(repeated))


def _context(chance: random.Random) -> dict[str, Any]:
    changes = {"did": f"d-{chance.randrange(DEVICES)}", "channel": f"c-{chance.randrange(3)}"}
    return {**document("START", "")["context"], **changes}


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
    command = [sys.executable, "-m", "cli", *endpoints(place), "stream", *(feed.name for feed in FEEDS)]
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
    for number in range(KNOWN):
        rows(
            "insert into reference_devices (id, data) values (:id, cast(:data as jsonb)) returning id",
            id=f"d-{number}",
            data=json.dumps({"state": f"state {number}"}),
        )
    chance = random.Random(SEED)
    sent = traffic(200_000 if full else 5_000, chance)
    send(place, sent.values, chance)
    for _ in range(6 if full else 1):
        kill_at_a_random_moment(place, sent, tmp_path / "stream.log", rows, chance)
    for feed in FEEDS:
        stream(feed)
    on_topics = {topic: routed(place, topic) for topic in (topics.UNIQUE, topics.DENORM, *topics.SENT_TO)}
    require_accounts(sent, on_topics, rows)
    require_sent_once(sent, on_topics)
    require_enriched_once(on_topics, rows)
    for feed in FEEDS:
        require_counts_of_history(place, feed.name, rows)


def kill_at_a_random_moment(place: Settings, sent: Traffic, log: Path, rows: Rows, chance: random.Random) -> None:
    """Count until both stages that send have made progress; then kill."""
    unique = sum(
        topics.UNIQUE in outgoing.topics for eid, value in sent.valid for outgoing in stages.sent_of(value, eid)
    )
    before, moment = received(rows), None
    with streaming(place, log) as process:
        deadline = time.monotonic() + DEADLINE_S
        while moment is None or time.monotonic() < moment:
            now = received(rows)
            if moment is None and all(now[feed.name] > before[feed.name] + BATCH for feed in FEEDS[:2]):
                moment = time.monotonic() + chance.uniform(0, 0.5)
            assert process.poll() is None, log.read_text()[-2_000:]
            assert time.monotonic() < deadline, f"no progress within {DEADLINE_S} s"
            assert now[TELEMETRY.name] + now[TELEMETRY_UNIQUE.name] < len(sent.values) + unique, (
                "all was sent before the kill"
            )
            threading.Event().wait(0.02)


def received(rows: Rows) -> Counter[str]:
    return Counter(dict(rows("select feed, sum(received)::bigint from ledger group by 1")))


def require_accounts(sent: Traffic, on_topics: Mapping[str, list[Routed]], rows: Rows) -> None:
    """What was received is counted, duplicate or invalid, and each of these is on the topics."""
    account = "select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger where feed = :feed"
    valid, repeated, invalid = len(sent.valid), len(sent.repeated), sent.invalid
    assert rows(account, feed="telemetry") == [(len(sent.values), valid, repeated, invalid)]
    counts = {topic: len(messages) for topic, messages in on_topics.items()}
    assert rows(account, feed="telemetry-unique") == [(counts[topics.UNIQUE], counts[topics.UNIQUE], 0, 0)]
    assert rows(account, feed="telemetry-denorm") == [(counts[topics.DENORM], counts[topics.DENORM], 0, 0)]
    noted: dict[str, int] = dict(rows("select topic, sum(messages)::bigint from routed_messages group by 1"))
    assert noted == {topic: count for topic, count in counts.items() if count}
    # SHARE_ITEMs are made of SHAREs.
    made = sum(message.document["eid"] == "SHARE_ITEM" for message in on_topics[topics.UNIQUE])
    assert made == sum(eid == "SHARE" for eid, _ in sent.valid)
    into = (topics.FAILED, topics.DUPLICATE, topics.UNIQUE, topics.LOG, topics.ERROR)
    assert sum(counts[topic] for topic in into) == len(sent.values) + made


def require_sent_once(sent: Traffic, on_topics: Mapping[str, list[Routed]]) -> None:
    """Each event is on its topics once, for readers of committed messages, and with no other bytes."""
    expected = {topic: Values() for topic in on_topics if topic != topics.DENORM}
    for eid, value in sent.valid:
        for outgoing in stages.sent_of(value, eid, known(value)):
            for topic in outgoing.topics:
                expected[topic][outgoing.value] += 1
    for eid, value in sent.repeated:
        first = stages.sent_of(value, eid, known(value))[0]
        expected[topics.DUPLICATE][EventStage().repeated(first.key, first.value or b"").value] += 1
    failed = on_topics[topics.FAILED]
    assert len({(m.headers["source-partition"], m.headers["source-offset"]) for m in failed}) == len(failed)
    del expected[topics.FAILED]
    for topic, values in expected.items():
        assert Values(message.value for message in on_topics[topic]) == values, topic
    mids = Counter(message.document["mid"] for message in on_topics[topics.UNIQUE])
    assert set(mids.values()) == {1}


def require_enriched_once(on_topics: Mapping[str, list[Routed]], rows: Rows) -> None:
    """Each unique event that is to be enriched is so once, with flags that say what was known."""
    data: dict[str, str] = dict(rows("select id, data::text from reference_devices"))
    reference = {
        (enriching.DEVICE, id_): enriching.row_of(enriching.DEVICE, written.encode()) for id_, written in data.items()
    }
    expected = Values()
    for message in on_topics[topics.UNIQUE]:
        made = enriching.prepared(message.value or b"", time.time_ns() // 1_000)
        if not isinstance(made, enriching.Left):
            expected[enriching.joined(enriching.Prepared.of(made), reference)] += 1
    assert Values(message.value for message in on_topics[topics.DENORM]) == expected
    unique = {message.document["mid"]: message.document for message in on_topics[topics.UNIQUE]}
    skipped = {mid for mid, found in unique.items() if found["eid"] == "INTERRUPT"}
    enriched = {message.document["mid"]: message.document for message in on_topics[topics.DENORM]}
    assert enriched.keys() == unique.keys() - skipped
    for mid, found in enriched.items():
        device = found["context"]["did"]
        is_known = device in data
        assert found.get("devicedata") == (json.loads(data[device]) if is_known else None)
        assert found["flags"] == {
            **unique[mid]["flags"], **dict.fromkeys(("device_denorm", "loc_denorm"), is_known), "user_denorm": False,
            **({"content_denorm": False} if found["eid"] == "SHARE_ITEM" else {}),
        }  # fmt: skip


# What each feed counts, as DuckDB computes it of an event as it was received.
DIMENSIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "telemetry": {
        "eid": ("raw->>'$.eid'", "1"),
        "channel": ("raw->>'$.context.channel'", "1"),
        "device": ("raw->>'$.context.did'", "1"),
        "content": ("raw->>'$.object.id'", "1"),
        "user": ("raw->>'$.actor.id'", "1"),
        "eid_milliseconds": ("raw->>'$.eid'", "round(1000 * cast(raw->>'$.edata.duration' as double))"),
        "content_milliseconds": ("raw->>'$.object.id'", "round(1000 * cast(raw->>'$.edata.duration' as double))"),
    },
    "telemetry-unique": {"eid": ("raw->>'$.eid'", "1")},
    "telemetry-denorm": {"eid": ("raw->>'$.eid'", "1"), "state": ("raw->>'$.derivedlocationdata.state'", "1")},
}


def require_counts_of_history(place: Settings, feed: str, rows: Rows) -> None:
    """Live totals equal a recomputation by DuckDB of the events in the history, as they were received."""
    kept = delta_table(f"{place.history}/{feed}")
    history = kept.to_pyarrow_table(columns=["partition", "offset", "raw"])  # noqa: F841, DuckDB finds it by its name
    event_id = "case when raw->>'$.eid' = 'LOG' then partition || '/' || \"offset\" else raw->>'$.mid' end"
    duckdb.execute(
        f"create or replace temp table first as select any_value(raw) as raw from history group by {event_id}"
    )
    live = "select id, extract(epoch from timestamp)::bigint, value from event_counts where feed = :feed and dimension = :dimension"
    for dimension, (id_, measure) in DIMENSIONS[feed].items():
        window = "cast(raw->>'$.ets' as bigint) // 300_000 * 300"
        recomputed = f"select {id_}, {window}, sum({measure})::bigint from first group by all"
        expected = {row for row in duckdb.execute(recomputed).fetchall() if None not in row}
        assert set(rows(live, feed=feed, dimension=dimension)) == expected, (feed, dimension)
        assert expected or dimension.startswith("content")
