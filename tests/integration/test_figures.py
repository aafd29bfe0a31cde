"""The figures from Kafka to PostgreSQL, against the simulator's own account and an independent computation."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from batch_layer.hourly.job import HourlyJob
from batch_layer.hourly.store import Recomputed
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.ending import Interrupted
from bytemeter.feeds import DEVICES
from bytemeter.settings import Settings
from simulator.traffic import Sent
from tests.buckets import FOLDER_AND_BUCKET
from tests.histories import delta_table
from tests.integration import oracle
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]


def totals(rows: Rows, table: str) -> dict[oracle.Key, int]:
    found = rows(
        f"select type, id, extract(epoch from timestamp)::bigint, value from {table} where type <> 'email_bytes_total'"
    )
    return {(type_, id_, start): value for type_, id_, start, value in found}


@FOLDER_AND_BUCKET
def test_live_and_batch_equal_what_was_sent(
    place: Settings,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
    rows: Rows,
) -> None:
    sent = simulate(30_000, late=0.02, duplicates=0.02, invalid=0.02)
    stream(settings=place.model_copy(update={"max_records_per_batch": 8_000}))
    truth = oracle.truth(place, time.time())

    assert (truth.counted, truth.bytes) == (sent.valid, sent.valid_bytes)
    assert min(sent.late, truth.duplicate, truth.invalid) > 0
    account = rows("select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger")
    assert account == [(30_000, sent.valid, sent.duplicates, sent.invalid)]
    assert rows("select count(*) from invalid_events") == [(sent.invalid,)]
    assert rows("select count(*), count(*) filter (where conflict) from duplicate_events") == [(sent.duplicates, 0)]
    assert totals(rows, "bytes") == truth.windows
    sums = rows("select type, sum(value) from bytes group by type order by type")
    assert sums == [(type_, sent.valid_bytes) for type_ in sorted(oracle.TYPES)]
    assert rows("select distinct source from usage_hourly") == [("live",)]
    assert totals(rows, "usage_hourly") == truth.hours

    recompute()
    assert totals(rows, "bytes_hourly") == truth.hours
    assert rows("select distinct source from usage_hourly") == [("batch",)]
    assert totals(rows, "usage_hourly") == truth.hours
    emails = rows(
        "select u.id, extract(epoch from b.timestamp)::bigint, b.value from bytes_hourly b join user_metadata u on u.email = b.id "
        "where b.type = 'email_bytes_total'"
    )
    users = {(id_, start): value for (type_, id_, start), value in truth.hours.items() if type_ == "user_bytes_total"}
    assert {(id_, start): value for id_, start, value in emails} == users
    quotas = dict(rows("select id, quota from user_metadata"))
    breaches = rows(
        "select u.id, extract(epoch from q.timestamp)::bigint, q.usage, q.quota from user_quota_limit q join user_metadata u using (email)"
    )
    assert breaches
    assert {(id_, start, usage) for id_, start, usage, _ in breaches} == {
        (id_, start, value) for (id_, start), value in users.items() if value > quotas[id_]
    }
    assert all(quota == quotas[id_] for id_, _, _, quota in breaches)
    assert history_sum(place) == sent.valid_bytes


def history_sum(place: Settings) -> int:
    """Bytes of distinct records in the history, as DuckDB finds them in the parquet files.

    The history also holds what only the clock refused.
    """
    limit = time.time() + 86_400
    history = delta_table(f"{place.history}/devices").to_pyarrow_table()  # noqa: F841 - DuckDB reads it by name
    found = duckdb.sql(
        f"select sum(bytes) from (select any_value(bytes) as bytes from history where epoch(event_time) <= {limit} "
        "group by event_id, epoch(event_time) // 3600)"
    ).fetchall()
    return int(found[0][0])


def test_run_twice_the_rows_are_the_same(
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
    rows: Rows,
) -> None:
    simulate(2_000, duplicates=0.05)
    stream()
    planned = recompute(dry_run=True)
    assert rows("select count(*) from bytes_hourly") == [(0,)]
    assert planned.changed == recompute().changed > 0
    tables = ("bytes_hourly", "user_quota_limit")
    before = [sorted(rows(f"select * from {table}")) for table in tables]
    hours = [hour for (hour,) in rows("select hour from hours")]
    assert recompute(hours).changed == 0
    assert [sorted(rows(f"select * from {table}")) for table in tables] == before


def test_late_records_make_their_hour_dirty_until_it_is_recomputed(
    simulate: Callable[..., Sent],
    put: Callable[..., None],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
    rows: Rows,
) -> None:
    simulate(1_000)
    stream()
    assert recompute().hours == rows("select count(*) from hours")[0][0] > 1
    assert recompute().hours == 0
    late = int(time.time()) - 7_000
    put([b'{"bytes":5,"timestamp":%d,"app":"LATE","id":"u","antenna_id":"a"}' % late])
    stream()
    hour = late // 3600 * 3600
    assert rows("select extract(epoch from hour)::bigint from hours where dirty") == [(hour,)]
    assert rows("select value, source from usage_hourly where id = 'LATE'") == [(5, "live")]
    assert recompute().hours == 1
    assert rows("select value, source from usage_hourly where id = 'LATE'") == [(5, "batch")]


def test_a_recompute_up_to_a_snapshot_leaves_what_was_counted_since_to_the_next_one(
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    hourly_job: Callable[..., HourlyJob],
    rows: Rows,
) -> None:
    """As the hourly job does: it takes the snapshots of all feeds first, and waits for the history once."""
    simulate(200)
    stream()
    first = totals(rows, "bytes")
    job = hourly_job(DEVICES)
    snapshot = job.snapshot()
    simulate(200, seed=SEED + 1)
    stream()
    job.run(snapshot=snapshot)
    assert sum(totals(rows, "bytes_hourly").values()) == sum(first.values())
    assert rows("select count(*) > 0 from hours where dirty") == [(True,)]
    job.run()
    assert sum(totals(rows, "bytes_hourly").values()) == sum(totals(rows, "bytes").values()) > sum(first.values())
    assert rows("select count(*) from hours where dirty") == [(0,)]


def test_a_monthly_run_that_is_cancelled_while_it_waits_for_the_history_writes_nothing(
    simulate: Callable[..., Sent], stream: Callable[..., None], monthly_job: Callable[..., MonthlyJob], rows: Rows
) -> None:
    simulate(100)
    stream(history=False)
    ((year, month),) = rows("select extract(year from max(hour))::int, extract(month from max(hour))::int from hours")
    cancelled = threading.Event()
    cancelled.set()
    job = monthly_job(Month(year, month), dt.datetime.now(dt.UTC), cancel=cancelled)
    with pytest.raises(Interrupted):
        job.run()
    assert rows("select count(*) from bytes_monthly") == [(0,)]
