"""What exceeds a limit of telemetry fails alone and stops nothing, on real servers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from bytemeter.errors import TransientError
from bytemeter.feeds import TELEMETRY, TELEMETRY_BATCHES, TELEMETRY_UNIQUE
from bytemeter.settings import Settings
from bytemeter.telemetry import topics
from tests.histories import delta_table
from tests.telemetry import create_topics, mids, routed
from tests.telemetry_events import batch, event

Rows = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., None]
Stream = Callable[..., None]


@pytest.fixture(autouse=True)
def _topics(place: Settings) -> None:
    create_topics(place)


def put_compressed(place: Settings, topic: str, *values: bytes) -> None:
    """Messages of more bytes than Kafka would take if they were not compressed."""
    to = Producer({"bootstrap.servers": place.kafka, "message.max.bytes": 64 * 2**20, "compression.type": "zstd"})
    for value in values:
        to.produce(place.topic_prefix + topic, value, partition=0)
        assert to.flush(30) == 0


def test_what_only_fits_compressed_fails_alone_and_stops_nothing(
    place: Settings, put: Put, stream: Stream, rows: Rows, seed: int
) -> None:
    # Half as many bytes by zstd, and no fewer by lz4, which messages are sent on with.
    large = Random(seed).randbytes(6_000_000).hex()
    single = event("START", "large", tags=[large])
    put_compressed(place, topics.INGEST, batch(single), large.encode(), b'{"did":"%b","events":[]}' % large.encode())
    key = large[: 5 * 2**20]
    put_compressed(place, topics.INGEST, b'{"events":5,"did":"%b"}' % key.encode(), batch(b"{}", params={"did": key}))
    # Of more than three months ago it would not be enriched.
    put([batch(event("START", "a", ets=time.time_ns() // 1_000_000))], topic=topics.INGEST)
    stream(TELEMETRY_BATCHES)
    put_compressed(place, topics.RAW, single)
    put_compressed(place, topics.UNIQUE, single)
    stream(TELEMETRY)
    stream(TELEMETRY_UNIQUE, history=False)
    assert rows("select feed, sum(received)::int, sum(counted)::int from ledger group by 1 order by 1") == [
        ("telemetry", 3, 1), ("telemetry-batches", 6, 2), ("telemetry-unique", 2, 1),
    ]  # fmt: skip
    assert mids(place, topics.UNIQUE) == ["a", "large"]
    assert mids(place, topics.DENORM) == ["a"]
    failed = [(m.headers["reason"].decode().partition(";")[0], m.value or b"") for m in routed(place, topics.FAILED)]
    beginnings = [(reason, value) for reason, value in failed if len(value) == 65_536]
    over = "8388608 bytes"
    assert sorted(reason for reason, _ in beginnings) == [
        f"batch over {over}", "device over 512 characters", "event over 1052672 bytes", "event over 1056768 bytes",
        "not JSON",
    ]  # fmt: skip
    assert {value for _, value in beginnings} <= {
        value[:65_536] for value in (batch(single), single, large.encode(), b'{"did":"' + large.encode())
    }
    assert len(failed) == 7
    whole = delta_table(f"{place.history}/telemetry.invalid").to_pyarrow_table(columns=["value"])
    assert single in whole.column("value").to_pylist()


def test_a_topic_whose_limit_was_lowered_delays_messages_and_loses_none(
    place: Settings, put: Put, stream: Stream, rows: Rows, seed: int
) -> None:
    large = event("START", "large", tags=[Random(seed).randbytes(4_000).hex()])
    put([large, event("START", "a")], topic=topics.RAW)
    name = place.topic_prefix + topics.UNIQUE
    smaller = ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[smaller])
    admin = AdminClient({"bootstrap.servers": place.kafka})
    (changed,) = admin.incremental_alter_configs([resource]).values()
    changed.result()
    with pytest.raises(TransientError, match="run `bytemeter migrate`, which sets max.message.bytes of the topics"):
        stream(TELEMETRY, history=False)
    assert routed(place, topics.UNIQUE) == []
    create_topics(place)
    stream(TELEMETRY, history=False)
    assert mids(place, topics.UNIQUE) == mids(place, topics.PRIMARY) == ["a", "large"]
    assert rows("select sum(received), sum(counted) from ledger") == [(2, 2)]


def test_a_share_that_would_make_too_many_events_fails_alone_with_the_place(
    place: Settings, put: Put, stream: Stream, rows: Rows
) -> None:
    shared = [{"params": [{}] * 1_000}]
    many, over = (
        event("SHARE", mid, edata={"items": items}) for mid, items in (("m", shared), ("o", [*shared, *shared]))
    )
    # Of 1 MiB, it would make 100 GiB.
    huge = event("SHARE", "h", edata={"items": [{"params": [{}] * 100_000}]}, tags=["x" * 600_000])
    put([over, event("START", "a"), huge, many], topic=topics.RAW)
    stream(TELEMETRY, history=False)
    reason = "/edata/items: over 1000 SHARE_ITEMs"
    assert rows("select reason, count(*) from invalid_events group by 1") == [(reason, 2)]
    failed = {message.document["mid"]: message.document for message in routed(place, topics.FAILED)}
    assert failed["o"]["metadata"]["validation_error"] == [
        {"pointer": "/edata/items", "violates": "over 1000 SHARE_ITEMs"}
    ]
    assert failed["o"]["edata"] == json.loads(over)["edata"]
    assert failed.keys() == {"o", "h"}
    assert len(routed(place, topics.UNIQUE)) == 2 + 1_000
