"""The hourly job's sink: versions of hours, dirty marks, and breaches of the feed that has quotas."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from batch_layer.hourly.store import hourly_store
from batch_layer.postgres.staging import Staged
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS, DEVICES

Rows = Callable[..., list[tuple[Any, ...]]]

TEN = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
USER, EMAIL = "00000000-0000-0000-0000-000000000001", "user01@example.com"
QUOTA = 3_000_000
COUNTED = """
insert into hours (feed, hour, version) values ('devices', '2026-11-21T10:00Z', 3), ('other', '2026-11-21T10:00Z', 1);
insert into ledger (feed, partition, topic_id, next_offset) values ('devices', 0, 't', 7), ('devices', 1, 't', 9);
"""


def stage(engine: Engine, value: int) -> Staged:
    """Stage one user's total of the hour from ten."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into staged_hourly (attempt, type, id, window_s, value) values (5, 'user_bytes_total', %s, %s, %s)",
            (USER, int(TEN.timestamp()), value),
        )
    return Staged("staged_hourly", 5, 1)


@pytest.fixture
def counted(engine: Engine) -> Engine:
    with engine.begin() as connection:
        connection.exec_driver_sql(COUNTED)
    return engine


def test_a_snapshot_has_offsets_versions_and_dirty_hours_of_its_feed(counted: Engine) -> None:
    with hourly_store(counted, DEVICES) as store:
        snapshot = store.snapshot()
    assert (snapshot.offsets, snapshot.versions, snapshot.dirty) == ({0: 7, 1: 9}, {TEN: 3}, [TEN])


def test_an_hour_stays_dirty_if_records_were_counted_since_the_snapshot(counted: Engine, rows: Rows) -> None:
    with hourly_store(counted, DEVICES) as store:
        snapshot = store.snapshot()
        rows("update hours set version = version + 1 where feed = 'devices' returning 1")
        store.replace([TEN], stage(counted, 1), snapshot, dry_run=False)
        assert store.snapshot().dirty == [TEN]
        store.replace([TEN], stage(counted, 1), store.snapshot(), dry_run=False)
        assert store.snapshot().dirty == []
    assert rows("select dirty from hours where feed = 'other'") == [(True,)]


def test_breaches_follow_the_recomputed_totals(counted: Engine, rows: Rows) -> None:
    with hourly_store(counted, DEVICES) as store:
        for value, breaches in ((QUOTA + 1, [(EMAIL, QUOTA + 1, QUOTA)]), (QUOTA, [])):
            recomputed = store.replace([TEN], stage(counted, value), store.snapshot(), dry_run=False)
            assert rows("select email, usage, quota from user_quota_limit") == breaches
            assert recomputed.breaches == len(breaches)


def test_a_feed_without_quotas_leaves_the_breaches_of_others_alone(counted: Engine, rows: Rows) -> None:
    assert DEVICES.totals is not None
    other = replace(DEVICES, name="other", totals=replace(DEVICES.totals, quotas=None))
    with hourly_store(counted, DEVICES) as store:
        store.replace([TEN], stage(counted, QUOTA + 1), store.snapshot(), dry_run=False)
    with hourly_store(counted, other) as store:
        recomputed = store.replace([TEN], stage(counted, QUOTA + 1), store.snapshot(), dry_run=False)
    assert recomputed.breaches == 0
    assert rows("select usage from user_quota_limit") == [(QUOTA + 1,)]


def test_a_dry_run_writes_nothing(counted: Engine, rows: Rows) -> None:
    with hourly_store(counted, DEVICES) as store:
        recomputed = store.replace([TEN], stage(counted, 1), store.snapshot(), dry_run=True)
        assert (recomputed.hours, recomputed.changed) == (1, 2)
        assert store.snapshot().dirty == [TEN]
    assert rows("select * from bytes_hourly") == []


def test_one_hourly_job_at_a_time(counted: Engine) -> None:
    with (
        hourly_store(counted, DEVICES),
        pytest.raises(BytemeterError, match="another hourly job runs"),
        hourly_store(counted, DEVICES),
    ):
        pass


def test_a_feed_without_hourly_totals_is_refused(counted: Engine) -> None:
    with (
        hourly_store(counted, DATA_RECORDS) as store,
        pytest.raises(BytemeterError, match="the feed data-records has no hourly totals; choose e.g. devices"),
    ):
        store.replace([TEN], stage(counted, 1), store.snapshot(), dry_run=False)
