"""Producers with Kafka transactions: only committed records count, in both views and in the account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer
from deltalake import DeltaTable

from batch_layer.hourly.store import Recomputed
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from tests.messages import device

Rows = Callable[..., list[tuple[Any, ...]]]


def begun(place: Settings, name: str, sizes: range) -> Producer:
    """A producer whose open transaction has records of these sizes in partition 0, acknowledged by the broker."""
    producer = Producer({**Kafka(place).librdkafka(), "transactional.id": f"{place.topic_prefix}{name}"})
    producer.init_transactions()
    producer.begin_transaction()
    for size in sizes:
        producer.produce(f"{place.topic_prefix}devices", device(bytes=size), partition=0)
    assert producer.flush(30) == 0
    return producer


def test_aborted_records_are_never_counted_and_open_ones_are_counted_once_committed(
    place: Settings, stream: Callable[..., None], recompute: Callable[..., Recomputed], rows: Rows
) -> None:
    begun(place, "aborted", range(1_000, 1_100)).abort_transaction()
    begun(place, "committed", range(100)).commit_transaction()
    open_ = begun(place, "open", range(10_000, 10_003))
    begun(place, "after", range(500, 510)).commit_transaction()
    stream()
    account = "select sum(received), sum(counted), sum(invalid) from ledger"
    # What was committed behind the open transaction waits for it, as Kafka has it for every consumer.
    assert rows(account) == [(100, 100, 0)]
    open_.commit_transaction()
    stream()
    assert rows(account) == [(113, 113, 0)]
    total = sum(range(100)) + sum(range(10_000, 10_003)) + sum(range(500, 510))
    assert rows("select sum(value) from bytes where type = 'user_bytes_total'") == [(total,)]
    history = DeltaTable(f"{place.history}/devices").to_pyarrow_table()
    assert sorted(history.column("bytes").to_pylist()) == sorted(
        [*range(100), *range(10_000, 10_003), *range(500, 510)]
    )
    recompute()
    assert rows("select sum(value) from bytes_hourly where type = 'user_bytes_total'") == [(total,)]
    # Markers of transactions take offsets, too: the ledger moves over them.
    ((next_offset,),) = rows("select next_offset from ledger where partition = 0")
    described = Kafka(place).describe(f"{place.topic_prefix}devices")
    assert described is not None
    assert next_offset == described.latest[0] == 100 + 100 + 3 + 10 + 4
