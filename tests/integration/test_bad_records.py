"""Bad records cost themselves alone and are kept; duplicates count once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from batch_layer.hourly.store import Recomputed
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_store import MicroBatch, live_store
from speed_layer.executor.blocks import NO_MESSAGES
from speed_layer.executor.totals import totals_parts
from speed_layer.totals.query import TotalsQuery
from tests.buckets import FOLDER_AND_BUCKET
from tests.messages import device
from tests.samples import ACCEPTED_DEVICES, REFUSED_DEVICES

Rows = Callable[..., list[tuple[Any, ...]]]


def record(size: int, event_id: str | None = None, **changes: Any) -> bytes:
    return device(**{"bytes": size, "timestamp": int(time.time()) // 3600 * 3600, "event_id": event_id, **changes})


def test_bad_records_are_kept_with_reason_and_bytes_and_the_others_go_on(
    put: Callable[..., None], stream: Callable[..., None], rows: Rows
) -> None:
    accepted = [value for value in ACCEPTED_DEVICES.values() if json.loads(value)["timestamp"] < time.time()]
    refused = [case for case in REFUSED_DEVICES.values() if case[1] != DEVICES.clock_reason]
    future = record(7, timestamp=int(time.time()) + 2 * 86_400)
    put([*accepted, *(value for value, _ in refused), future])
    stream()
    assert rows(
        "select count(*) from invalid_events where length is distinct from octet_length(payload) "
        "or digest is distinct from sha256(payload)"
    ) == [(0,)]
    kept = rows(
        "select record_offset, payload, reason, event_time is not null from invalid_events order by record_offset"
    )
    expected = [(value, reason, False) for value, reason in refused] + [(future, DEVICES.clock_reason, True)]
    assert [(value if value is None else bytes(value), reason, timed) for _, value, reason, timed in kept] == expected
    assert [offset for offset, *_ in kept] == [len(accepted) + n for n in range(len(expected))]
    account = "select received, counted, duplicate, invalid, next_offset from ledger where partition = 0"
    total = len(accepted) + len(expected)
    assert rows(account) == [(total, len(accepted), 0, len(expected), total)]
    sums = rows("select sum(value) from bytes group by type")
    assert sums == [(sum(json.loads(value)["bytes"] for value in accepted),)] * 3


@FOLDER_AND_BUCKET
def test_of_duplicates_the_first_counted_stays_in_live_and_batch(
    put: Callable[..., None], stream: Callable[..., None], recompute: Callable[..., Recomputed], rows: Rows
) -> None:
    put([record(1, "a"), record(10, "b"), record(10, "b"), record(100)], partition=2)
    put([record(100)], partition=1)
    stream()
    # The repeat stands at a lower position than the first, with other content; in one micro-batch the lowest wins.
    put([record(9_000, "a"), record(1_000, "c")], partition=0)
    put([record(5_000, "c")], partition=1)
    stream()
    expected = [("user_bytes_total", 1 + 10 + 100 + 100 + 1_000)]
    assert rows("select type, sum(value) from bytes where type like 'user%' group by type") == expected
    assert rows(
        "select partition, record_offset, first_partition, first_offset, conflict from duplicate_events order by 1, 2"
    ) == [
        (0, 0, 2, 0, True),
        (1, 1, 0, 1, True),
        (2, 2, 2, 1, False),
    ]
    recompute()
    assert rows("select type, sum(value) from bytes_hourly where type like 'user%' group by type") == expected
    assert rows("select sum(received), sum(counted), sum(duplicate) from ledger") == [(8, 5, 3)]


def test_duplicates_alone_make_no_row(put: Callable[..., None], stream: Callable[..., None], rows: Rows) -> None:
    put([record(1, "a")])
    stream()
    put([record(1, "a", app="OTHER")])
    stream()
    assert rows("select * from bytes where id = 'OTHER'") == []


def test_what_the_clock_refused_stands_in_the_history_but_is_not_recomputed(
    put: Callable[..., None],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
    rows: Rows,
    engine: Engine,
) -> None:
    future = int(time.time()) // 3600 * 3600 + 2 * 86_400
    put([record(1), record(7, timestamp=future)])
    stream()
    ((event_time,),) = rows("select event_time from invalid_events")
    recompute([event_time])
    assert rows("select * from bytes_hourly where timestamp = :at", at=event_time) == []


def test_a_micro_batch_that_does_not_start_at_the_ledger_is_not_counted(
    place: Settings, rows: Rows, engine: Engine
) -> None:
    topic = Kafka(place).describe(place.topic_prefix + "devices")
    assert topic is not None
    query = TotalsQuery(DEVICES)
    nothing = query.prepare({"devices": totals_parts(DEVICES, NO_MESSAGES)})
    with live_store(engine, query, {"devices": topic}, IdlePartitions(0)) as store:
        store.commit(MicroBatch(nothing, start={"devices": {0: 0}}, end={"devices": {0: 5}}))
        with pytest.raises(BytemeterError, match=r"stands at \{0: 5\}, this query read from \{0: 0\}"):
            store.commit(MicroBatch(nothing, start={"devices": {0: 0}}, end={"devices": {0: 7}}))
    assert rows("select next_offset from ledger") == [(5,)]
