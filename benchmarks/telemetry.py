"""Telemetry: events validated, deduplicated, counted and sent on, beside a bare read and beside plain Python."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import jsonschema_rs
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession
from sqlalchemy import text

from benchmarks.streaming import bare_read, stream
from benchmarks.throughput import Job, Throughput
from benchmarks.topics import Topics, own_process
from bytemeter.feeds import TELEMETRY, TELEMETRY_UNIQUE, Feed
from bytemeter.kafka import Kafka
from bytemeter.parsing.decoding import decode
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.sql import Statements
from bytemeter.telemetry import topics as names
from bytemeter.telemetry.batches import Position, sent_of
from bytemeter.telemetry.schema_files import PARTS_URI, ours, parts
from bytemeter.telemetry.stages import topics_of
from simulator.producer import producer, send
from simulator.telemetry import Shares, TelemetrySimulation
from simulator.traffic import Message

BARE = "bare read of telemetry"
ROUTED = "telemetry, counted and sent on"
ENRICHED = "telemetry, counted, sent on and enriched"
PLAIN = "plain Python: jsonschema-rs and confluent-kafka"
# So that an event has 1.2 kB on average.
_TAGS = b'"tags":["'
_MORE_TAGS = b"".join(b'tag-%04d","' % number for number in range(53))
_QUIET = {"log_level": 0}
SQL = Statements(__package__, "telemetry.sql")
# By field of an event: the table with the rows of its ids, and what the rows have in common.
_REFERENCES = {
    "device": ("reference_devices", {"state": "Karnataka", "districtcustom": "Mysuru"}),
    "actor": ("reference_users", {"state": "Karnataka", "district": "Mysuru"}),
    "content": ("reference_contents", {"board": "CBSE"}),
}
# By field.
Ids = dict[str, set[str]]


def measure_telemetry(session: SparkSession, topics: Topics, rounds: int) -> None:
    """Time whole topics of events, of which 1 % are duplicates and 1 % invalid, and print the rates."""
    place = topics.place("telemetry-bench.")
    size, ids = _fill(place, topics)
    print(f"an event has {size:,.0f} bytes", flush=True)
    throughput = Throughput(topics, rounds)
    jobs = [
        Job(BARE, partial(bare_read, session, place, TELEMETRY), BARE),
        Job(ROUTED, partial(_routed, session, place), BARE),
        Job(ENRICHED, partial(_enriched, session, place, ids), BARE),
        Job(PLAIN, partial(_plain, place), BARE, ROUTED),
    ]
    throughput.measure(jobs, [place])
    throughput.print()


def _fill(place: Settings, topics: Topics) -> tuple[float, Ids]:
    """Send the events of simulated batches; returns their average size in bytes, and the ids that they name."""
    kafka, total = Kafka(place), 0
    ids: Ids = {name: set() for name in _REFERENCES}
    traffic = topics.traffic(invalid=0.01, duplicates=0.01)
    to = producer(kafka.librdkafka())
    for piece in _events(TelemetrySimulation(traffic, Shares())):
        values = pa.array([message["value"] for message in piece], pa.binary())
        total += pc.sum(pc.binary_length(values)).as_py() or 0
        fields = decode(TELEMETRY.fields, values)
        for name, found in ids.items():
            found.update(pc.unique(fields.column(name).drop_null()).to_pylist())
        send(to, kafka.topic_name(TELEMETRY.topic), [(0.0, piece)])
    return total / topics.records, ids


def _events(simulated: TelemetrySimulation) -> Iterator[list[Message]]:
    for _, messages in simulated.pieces():
        yield [
            {"key": outgoing.key or b"", "value": outgoing.value.replace(_TAGS, _TAGS + _MORE_TAGS, 1)}
            for message in messages
            for outgoing in sent_of(message["value"] or b"", Position(0, 0, 0))
            if names.RAW in outgoing.topics and outgoing.value
        ]


def _routed(session: SparkSession, place: Settings) -> float:
    _forget_what_was_sent(place)
    began = time.perf_counter()
    stream(session, place, [TELEMETRY])
    return time.perf_counter() - began


def _enriched(session: SparkSession, place: Settings, ids: Ids) -> float:
    """Both queries, one after the other: each has the machine to itself."""
    _add_references(place, ids)
    _empty(place, names.UNIQUE)
    seconds = _routed(session, place)
    _forget_what_was_sent(place, TELEMETRY_UNIQUE)
    began = time.perf_counter()
    stream(session, place, [TELEMETRY_UNIQUE])
    return seconds + time.perf_counter() - began


def _add_references(place: Settings, ids: Ids) -> None:
    add = SQL.raw("add_rows")
    with database(place.require_database_url()).begin() as connection:
        for name, (table, known) in _REFERENCES.items():
            values = {"ids": sorted(ids[name]), "known": json.dumps(known)}
            connection.execute(text(add.replace("reference_table", table)), values)


def _empty(place: Settings, topic: str) -> None:
    """Delete the messages of the rounds before."""
    kafka = Kafka(place)
    described = kafka.describe(kafka.topic_name(topic))
    assert described is not None  # noqa: S101
    ends = [TopicPartition(described.name, partition, offset) for partition, offset in described.latest.items()]
    admin = AdminClient({**kafka.librdkafka(), **_QUIET})
    for deleted in admin.delete_records(ends).values():
        deleted.result()


def _forget_what_was_sent(place: Settings, feed: Feed = TELEMETRY) -> None:
    kafka = Kafka(place)
    admin = AdminClient({**kafka.librdkafka(), **_QUIET})
    groups = [kafka.topic_name(f"bytemeter-route-{feed.name}")]
    for deleted in admin.delete_consumer_groups(groups).values():
        # One that is not there need not be deleted.
        deleted.exception()


def _plain(place: Settings) -> float:
    with own_process() as process:
        return float(process.submit(_validate_and_send, place).result())


def _validate_and_send(place: Settings) -> float:
    """What anyone would write first, in one process: no exactness, no counts, no reasons; returns its seconds."""
    kafka = Kafka(place)
    described = kafka.describe(kafka.topic_name(TELEMETRY.topic))
    assert described is not None  # noqa: S101
    registry = jsonschema_rs.Registry([(PARTS_URI, parts())])
    validators: dict[str, Any] = {}
    began = time.perf_counter()
    consumer = Consumer({**kafka.librdkafka(), **_QUIET, "group.id": "plain", "enable.partition.eof": True})
    consumer.assign([TopicPartition(described.name, partition, 0) for partition in described.latest])
    to = Producer({**kafka.librdkafka(), **_QUIET, "linger.ms": 20, "compression.type": "lz4",
                   "queue.buffering.max.messages": 1_000_000})  # fmt: skip
    seen: set[str] = set()
    left = len(described.latest)
    while left:
        for message in consumer.consume(10_000, 0.1):
            if message.error():
                left -= 1
                continue
            for topic, value in _becomes(message.value() or b"", validators, registry, seen):
                _produce(to, kafka.topic_name(topic), value, message.key())
    to.flush()
    consumer.close()
    return time.perf_counter() - began


def _becomes(value: bytes, validators: dict[str, Any], registry: Any, seen: set[str]) -> Iterator[tuple[str, bytes]]:
    event = json.loads(value)
    eid = event.get("eid")
    if eid not in validators:
        validators[eid] = jsonschema_rs.validator_for(json.loads(ours(eid)), registry=registry, offline=True)
    if not validators[eid].is_valid(event):
        yield names.FAILED, value
        return
    if event["mid"] in seen:
        yield names.DUPLICATE, value
        return
    seen.add(event["mid"])
    event["flags"] = {"pp_validation_processed": True, "pp_duplicate": False}
    sent = json.dumps(event).encode()
    for topic in topics_of(eid):
        yield topic, sent


def _produce(to: Producer, topic: str, value: bytes, key: bytes | None) -> None:
    while True:
        try:
            return to.produce(topic, value, key)
        except BufferError:
            to.poll(0.05)
