"""What the figures must be: read from Kafka with an independent client and computed in plain Python.

It knows the rules of the feed from its documentation, not from the code under test.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from bytemeter.settings import Settings

FIELDS = {"bytes": int, "timestamp": int, "app": str, "id": str, "antenna_id": str}
TYPES = {"antenna_bytes_total": "antenna_id", "app_bytes_total": "app", "user_bytes_total": "id"}

Key = tuple[str, str, int]


@dataclass
class Truth:
    """Totals by (type, id, start of window), and how many records came to what."""

    windows: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    hours: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    received: int = 0
    counted: int = 0
    duplicate: int = 0
    invalid: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of the valid, distinct records."""
        return sum(value for (type_, _, _), value in self.windows.items() if type_ == "app_bytes_total")


def received(settings: Settings, feed: str = "devices") -> list[Any]:
    """All committed messages of a topic of the test's, as kafka-python reads them; no transaction is open."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, isolation_level="read_committed", fetch_max_wait_ms=10)
    topic = settings.topic_prefix + feed
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    messages: list[Any] = []
    # Some offsets are those of the ends of transactions.
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        messages += [message for batch in consumer.poll(1_000).values() for message in batch]
    consumer.close()
    return messages


def truth(settings: Settings, now_s: float) -> Truth:
    """What must be counted of the test's topic."""
    found, seen = Truth(), set()
    for message in received(settings):
        found.received += 1
        fields = judged(message.value, now_s)
        if fields is None:
            found.invalid += 1
            continue
        identity = (fields.get("event_id"), fields["timestamp"] // 3600)
        if identity[0] is not None and identity in seen:
            found.duplicate += 1
            continue
        seen.add(identity)
        found.counted += 1
        for type_, name in TYPES.items():
            found.windows[type_, fields[name], fields["timestamp"] // 300 * 300] += fields["bytes"]
            found.hours[type_, fields[name], fields["timestamp"] // 3600 * 3600] += fields["bytes"]
    return found


def judged(value: bytes | None, now_s: float) -> dict[str, Any] | None:
    """The fields of a valid record, else None."""
    try:
        fields = json.loads((value or b"").decode())
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    texts = [name for name, kind in FIELDS.items() if kind is str] + ["event_id"] * (fields.get("event_id") is not None)
    well_formed = all(type(fields.get(name)) is kind for name, kind in FIELDS.items())
    well_formed &= all(
        isinstance(text := fields.get(name), str) and 0 < len(text) <= 512 and "\0" not in text for name in texts
    )
    if not well_formed or not 0 <= fields["bytes"] <= 2**40:
        return None
    return fields if 946_684_800 <= fields["timestamp"] <= now_s + 86_400 else None
