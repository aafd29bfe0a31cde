"""Builders of telemetry: valid events of each kind, batches, and what is on the topics for readers of committed messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.telemetry import topics
from tests.messages import NOW_S

EDATA: Mapping[str, dict[str, Any]] = {
    "START": {"type": "session"},
    "END": {"type": "session", "duration": 12.5},
    "IMPRESSION": {"type": "view", "pageid": "home", "uri": "/home"},
    "INTERACT": {"type": "TOUCH", "id": "play"},
    "ASSESS": {"item": {"id": "q1"}, "pass": "Yes", "score": 1, "resvalues": [{"1": "a"}], "duration": 3},
    "RESPONSE": {"target": {"id": "q1", "ver": "1", "type": "choice"}, "type": "CHOOSE", "values": [{"1": "a"}]},
    "INTERRUPT": {"type": "background"},
    "FEEDBACK": {"rating": 4},
    "SHARE": {"items": [{"id": "do_1", "type": "Content", "ver": "1", "params": [{"transfers": 0}]}]},
    "AUDIT": {"props": ["status"], "state": "Live", "prevstate": "Draft"},
    "ERROR": {"err": "500", "errtype": "SYSTEM", "stacktrace": "at main"},
    "LOG": {"type": "api_call", "level": "INFO", "message": "ok"},
    "SEARCH": {"query": "sums", "size": 3, "topn": []},
    "METRICS": {"system": "s", "subsystem": "t", "metrics": []},
    "SUMMARY": {
        "type": "session", "starttime": 1, "endtime": 2, "timespent": 1, "pageviews": 1, "interactions": 1,
    },
    "HEARTBEAT": {},
    "EXDATA": {"type": "x", "data": "y"},
}  # fmt: skip


def document(eid: str, mid: str, **changes: Any) -> dict[str, Any]:
    """A valid event; a member that is changed to ``...`` is left out."""
    members: dict[str, Any] = {
        "eid": eid,
        "ets": NOW_S * 1_000,
        "ver": "3.0",
        "mid": mid,
        "actor": {"id": "u1", "type": "User"},
        "context": {"channel": "in.school", "env": "app", "did": "device-1", "pdata": {"id": "app"}},
        "edata": EDATA.get(eid, {}),
        **changes,
    }
    return {name: value for name, value in members.items() if value is not ...}


def event(eid: str, mid: str, **changes: Any) -> bytes:
    """See ``document``."""
    return json.dumps(document(eid, mid, **changes)).encode()


def batch(*events: bytes, **members: Any) -> bytes:
    """A batch of events, which stay byte for byte."""
    head = {"id": "batch", "ver": "3.0", "ets": NOW_S * 1_000, "channel": "in.school", "pid": "app", **members}
    return json.dumps(head).encode()[:-1] + b', "events": [' + b",".join(events) + b"]}"


def nested(depth: int) -> bytes:
    """A list so deep."""
    return b"[" * depth + b"]" * depth


class Routed(NamedTuple):
    """A message on a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def document(self) -> dict[str, Any]:
        """The value as JSON."""
        found: dict[str, Any] = json.loads(self.value or b"null")
        return found


SENT_TO = (topics.RAW, topics.UNIQUE, *topics.SENT_TO)


def create_topics(place: Settings) -> None:
    """The topics to which telemetry is sent, which other tests do not need."""
    kafka = Kafka(place)
    kafka.create_all({kafka.topic_name(topic): topics.MESSAGE_BYTES[topic] for topic in topics.MESSAGE_BYTES})


def routed(place: Settings, topic: str) -> list[Routed]:
    """All committed messages of a topic."""
    kafka = Kafka(place)
    name = kafka.topic_name(topic)
    consumer = Consumer(
        {
            **kafka.librdkafka(),
            "group.id": "tests",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 16 * 2**20,
            # By default the broker waits half a second before it says that nothing follows.
            "fetch.wait.max.ms": 10,
        }
    )
    described = kafka.describe(name)
    assert described is not None
    consumer.assign([TopicPartition(name, partition, 0) for partition in described.latest])
    found: list[Routed] = []
    open_ = set(described.latest)
    while open_:
        for message in consumer.consume(1_000, 0.1):
            if message.error():
                assert message.error().name() == "_PARTITION_EOF", message.error()
                open_.discard(message.partition())
                continue
            headers = dict(message.headers() or [])
            found.append(Routed(message.partition(), message.offset(), message.key(), message.value(), headers))
    consumer.close()
    return found
