"""The monthly job's sink: live totals corrected by differences, missed thresholds, amendments, closings."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from batch_layer.monthly.store import PlanStore, Threshold, plan_store
from batch_layer.months import Month
from batch_layer.postgres.staging import Staged
from bytemeter.errors import BytemeterError
from bytemeter.leases.lease import Lease
from bytemeter.plans.agreements import take
from bytemeter.plans.events import Crossing
from tests.builders import stored_agreement, utc

Rows = Callable[..., list[tuple[Any, ...]]]

JANUARY, START, END = Month(2020, 1), utc("2020-01-01"), utc("2020-02-01")
GRACE = dt.timedelta(hours=1)
DURING, AFTER = utc("2020-01-20"), END + 2 * GRACE
TOTAL = (
    "select total_recorded_bytes, latest_internal_record_id, status from data_plan_usage where period_start = :start"
)
# The live query has counted 400 of 1000 bytes; the latest record is "r4".
COUNTED = """
update data_plan_usage set
    period_start = '2020-01-01T00:00Z', period_end = '2020-02-01T00:00Z', year = 2020, month = 1,
    total_recorded_bytes = 400, latest_recorded_at = '2020-01-04T00:00Z', latest_internal_record_id = 'r4',
    next_threshold_bytes = 500;
insert into ledger (feed, partition, topic_id, next_offset) values ('data-records', 0, 't', 4), ('devices', 1, 't', 9);
"""


@pytest.fixture
def counted(engine: Engine) -> Engine:
    """A database with one agreement, and one billing period with records."""
    with engine.begin() as connection:
        take(connection, [stored_agreement("a", start=START)])
        connection.exec_driver_sql(COUNTED)
    return engine


def stage(engine: Engine, total: int, latest_day: int) -> Staged:
    """Stage what a recompute has found: a total, and the latest record on a day of January."""
    latest_us = int((START + dt.timedelta(days=latest_day - 1)).timestamp() * 1_000_000)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into staged_plan_usage (attempt, agreement_id, period_start, bytes, latest_us, latest) "
            "values (3, 'a', %s, %s, %s, %s)",
            (START, total, latest_us, f"r{latest_day}"),
        )
    return Staged("staged_plan_usage", 3, 1)


def stage_all(engine: Engine) -> Staged:
    """Stage 510 bytes for each agreement."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into staged_plan_usage (attempt, agreement_id, period_start, bytes, latest_us, latest) "
            "select 3, id, '2020-01-01T00:00Z', 510, to_us('2020-01-05T00:00Z'), 'r5' from agreements"
        )
    return Staged("staged_plan_usage", 3, 3)


def types_of(store: PlanStore, staged: Staged, *, now: dt.datetime = DURING, dry_run: bool = False) -> list[str]:
    """Correct by a staged total; the types of the events."""
    return list(Counter(store.correct(staged, {}, now=now, grace=GRACE, dry_run=dry_run).events).elements())


def test_a_snapshot_has_all_offsets_and_the_span_of_the_months_periods(counted: Engine) -> None:
    with plan_store(counted, JANUARY) as store:
        snapshot = store.snapshot()
    assert snapshot.offsets == {"data-records": {0: 4}, "devices": {1: 9}}
    assert (snapshot.since, snapshot.until, snapshot.spans) == (START, END, 1)


def test_an_equal_recompute_changes_and_emits_nothing(counted: Engine, rows: Rows) -> None:
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        assert types_of(store, stage(counted, 400, 4)) == []
    assert rows(TOTAL, start=START) == [(400, "r4", "open")]


def test_records_that_were_counted_since_the_snapshot_stay(counted: Engine, rows: Rows) -> None:
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        rows(
            "update data_plan_usage set total_recorded_bytes = 430, latest_recorded_at = '2020-01-09T00:00Z', "
            "latest_internal_record_id = 'r9' returning 1"
        )
        types_of(store, stage(counted, 450, 5))
    # 50 bytes were missing at the snapshot, 30 came since.
    assert rows(TOTAL, start=START) == [(480, "r9", "open")]


def test_a_missed_threshold_is_emitted_as_of_the_record_that_crossed_it(counted: Engine, rows: Rows) -> None:
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        staged = stage(counted, 600, 6)
        missed = store.missed(staged)
        assert missed == [Threshold("a", START, 500)]
        crossing = Crossing(510, utc("2020-01-05"), "r5")
        store.correct(staged, {missed[0]: crossing}, now=DURING, grace=GRACE, dry_run=False)
    told = "select type, threshold_percent, total_recorded_bytes, latest_internal_record_id from threshold_events"
    assert rows(told) == [("DATA_PLAN_THRESHOLD_REACHED", 50, 510, "r5")]
    assert rows("select next_threshold_bytes from data_plan_usage") == [(800,)]
    assert rows("select source, published_at from threshold_events") == [("batch", None)]


def test_only_periods_with_an_event_are_corrected_aloud_and_closed_ones_are_amended(
    counted: Engine, rows: Rows
) -> None:
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        assert types_of(store, stage(counted, 510, 4)) == ["DATA_PLAN_THRESHOLD_REACHED"]
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        assert types_of(store, stage(counted, 520, 4)) == ["DATA_PLAN_CORRECTED"]
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        assert types_of(store, stage(counted, 520, 4), now=AFTER) == ["BILLING_PERIOD_CLOSED"]
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        assert types_of(store, stage(counted, 530, 4), now=AFTER) == ["BILLING_PERIOD_AMENDED"]
    assert rows(TOTAL, start=START) == [(530, "r4", "closed")]


def test_a_dry_run_finds_the_differences_and_writes_nothing(counted: Engine, rows: Rows) -> None:
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        corrected = store.correct(stage(counted, 700, 7), {}, now=DURING, grace=GRACE, dry_run=True)
    assert corrected.changed == 1
    (difference,) = corrected.differences
    assert (difference.before, difference.after) == (400, 700)
    assert rows(TOTAL, start=START) == [(400, "r4", "open")]
    assert rows("select * from threshold_events") == []


def test_a_dry_run_waits_for_nobody_and_nobody_waits_for_it(counted: Engine, rows: Rows) -> None:
    """While others hold all locks that the live query takes, it says what the run says that comes after it."""
    with counted.connect() as live, plan_store(counted, JANUARY) as store:
        store.snapshot()
        staged = stage(counted, 700, 7)
        with live.begin():
            live.exec_driver_sql("lock table ledger, data_plan_usage, threshold_events in share row exclusive mode")
            live.exec_driver_sql("select from ledger for update")
            with store.connection.begin():
                store.connection.exec_driver_sql("set lock_timeout = '2s'")
            rehearsed = store.correct(staged, {}, now=AFTER, grace=GRACE, dry_run=True)
    assert rehearsed.events == {"DATA_PLAN_THRESHOLD_REACHED": 1, "BILLING_PERIOD_CLOSED": 1}
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        assert store.correct(stage(counted, 700, 7), {}, now=AFTER, grace=GRACE, dry_run=False) == rehearsed


def test_a_run_that_dies_leaves_whole_pieces_and_the_next_one_does_the_rest(
    counted: Engine, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two pieces nobody waits for the run."""
    monkeypatch.setattr("batch_layer.monthly.store.AT_ONCE", 1)
    monkeypatch.setattr("batch_layer.monthly.correcting.AT_ONCE", 1)
    with counted.begin() as connection:
        take(connection, [stored_agreement(id_, f"4{id_}", start=START) for id_ in "bc"])
    check, checked = Lease.check, itertools.count(1)

    def dies_at_the_third_piece(lease: Lease, connection: Connection) -> None:
        with counted.begin() as live:
            live.exec_driver_sql("set local lock_timeout = '2s'")
            live.exec_driver_sql("select from ledger for update")
        if next(checked) == 3:
            raise BytemeterError("killed")
        check(lease, connection)

    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        staged = stage_all(counted)
        monkeypatch.setattr(Lease, "check", dies_at_the_third_piece)
        with pytest.raises(BytemeterError, match="killed"):
            store.correct(staged, {}, now=AFTER, grace=GRACE, dry_run=False)
        monkeypatch.setattr(Lease, "check", check)
    events = "select agreement_id, type from threshold_events order by agreement_id, sequence"
    reached, closed = "DATA_PLAN_THRESHOLD_REACHED", "BILLING_PERIOD_CLOSED"
    assert rows("select agreement_id from data_plan_usage where total_recorded_bytes = 510 order by 1") == [
        ("a",), ("b",),
    ]  # fmt: skip
    assert rows(events) == [("a", reached), ("b", reached)]
    with plan_store(counted, JANUARY) as store:
        store.snapshot()
        corrected = store.correct(stage_all(counted), {}, now=AFTER, grace=GRACE, dry_run=False)
    assert (corrected.changed, corrected.events) == (1, {reached: 1, closed: 3})
    assert rows(events) == [(id_, type_) for id_ in "abc" for type_ in (reached, closed)]


def test_one_monthly_job_at_a_time(counted: Engine) -> None:
    with (
        plan_store(counted, JANUARY),
        pytest.raises(BytemeterError, match="another monthly job runs"),
        plan_store(counted, Month(2020, 2)),
    ):
        pass
