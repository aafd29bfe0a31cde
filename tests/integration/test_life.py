"""Three years of a network, counted in random micro-batches with kills, against an independent recomputation."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import Connection, Engine

from batch_layer.monthly.store import plan_store
from batch_layer.months import Month
from batch_layer.postgres.staging import Staged
from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans import outbox
from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from bytemeter.plans.judging import close_periods
from speed_layer.dedup.horizon import DEFAULT, Horizon
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_store import SESSION
from speed_layer.executor.plans import agreement_parts, record_parts
from speed_layer.plans.counting import count_micro_batch
from speed_layer.plans.owners import OwnerLookup
from speed_layer.plans.records import Records
from speed_layer.plans.tables import create_temporary_tables
from tests.integration.life import ANCHORS, CHANGED_ZONES, ZONES, Message, Record, Step, life
from tests.integration.life_truth import Event, Period, Truth
from tests.messages import messages

Rows = Callable[..., list[tuple[Any, ...]]]

USAGE = """
select agreement_id, period_start, total_recorded_bytes, latest_internal_record_id, status = 'closed'
from data_plan_usage where latest_recorded_at is not null
"""
EVENTS = """
select agreement_id, period_start, type, threshold_percent, threshold_bytes, total_recorded_bytes,
    latest_internal_record_id, payload
from threshold_events order by sequence
"""
RECORDED = 'create table recorded (id text collate "C", msisdn text collate "C", at timestamptz, bytes bigint)'
OWNERS = """
select r.id, o.agreement_id, o.period_start
from recorded as r
left join plan_ownership as o on o.msisdn = r.msisdn and r.at >= o.served_from and r.at < o.served_until
"""
# What Spark makes of the history and of the staged ownership (batch_layer.history.plans).
STAGE = """
insert into staged_plan_usage (attempt, agreement_id, period_start, bytes, latest_us, latest)
select distinct on (o.agreement_id, o.period_start)
    1, o.agreement_id, o.period_start, sum(r.bytes) over (partition by o.agreement_id, o.period_start), to_us(r.at), r.id
from recorded as r
inner join monthly_ownership as o
    on o.msisdn = r.msisdn and to_us(r.at) >= o.served_from_us and to_us(r.at) < o.served_until_us
order by o.agreement_id, o.period_start, r.at desc, r.id desc
"""


class Process:
    """A process that counts, as the live query does, until it is killed."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.owners = connection, OwnerLookup()
        self.deduplicator = Deduplicator(Horizon.of(DATA_RECORDS, DEFAULT))
        with connection.begin():
            connection.exec_driver_sql(SESSION)
            create_temporary_tables(connection)
            self.deduplicator.load(connection)
            self.owners.load(connection)

    def count(self, step: Step, *, killed: bool) -> int:
        """Count a micro-batch in one transaction; killed, nothing of it stays. Returns by how many more wait."""
        agreed = agreement_parts(_received(step.agreements))["agreements"]
        sent = messages(*(one.value for one in step.records))
        offsets = pc.add(sent.column("offset"), step.number * sent.num_rows)
        rows = Records.of(record_parts(sent.set_column(1, "offset", offsets))["records"])
        with self.connection.begin() as transaction:
            counted = count_micro_batch(self.connection, self.deduplicator, self.owners, agreed, rows)
            outbox.write(self.connection, list(counted.events), source="live")
            if killed:
                transaction.rollback()
                return 0
            self.deduplicator.finish(self.connection)
        return sum(account.unmatched for account in counted.accounts)

    def close(self, step: Step) -> None:
        """Close the periods that are over."""
        more = step.close_until is not None
        while more and step.close_until is not None:
            with self.connection.begin():
                closed = close_periods(self.connection, step.close_until, most=50)
                outbox.write(self.connection, list(closed.events), source="live")
            more = closed.more


def _received(agreements: list[Message]) -> pa.Table:
    """In an order other than that in which Kafka received them, as from several partitions."""
    shuffled = random.Random(len(agreements)).sample(agreements, len(agreements))
    table = messages(*(one.value for one in shuffled))
    at = pa.array([one.received for one in shuffled], pa.timestamp("us", "UTC"))
    offsets = pa.array([one.offset for one in shuffled], pa.int64())
    return table.set_column(3, "timestamp", at).set_column(1, "offset", offsets)


def _recompute(engine: Engine, month: tuple[int, int], until: dt.datetime) -> None:
    """The monthly run, but for Spark."""
    with plan_store(engine, Month(*month)) as store:
        store.snapshot()
        with engine.begin() as connection:
            staged = Staged("staged_plan_usage", 1, connection.exec_driver_sql(STAGE).rowcount)
        store.missed(staged)
        store.correct(staged, {}, now=until, grace=dt.timedelta(0), dry_run=False)


def _record(engine: Engine, records: list[Record]) -> None:
    """The history."""
    columns = tuple([getattr(one, name) for one in records] for name in ("id", "msisdn", "at", "size"))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into recorded select * from unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[])",
            columns,
        )


def test_a_life_has_the_totals_owners_events_and_states_of_an_independent_recomputation(
    engine: Engine, rows: Rows, seed: int, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2_000 if full else 60
    draw, truth, waiting = random.Random(seed), Truth(), 0
    with engine.begin() as connection:
        connection.exec_driver_sql(RECORDED)
        stored = dict.fromkeys((Calendar(zone, anchor) for zone in ZONES for anchor in ANCHORS), Years(2019, 2026))
        ensure_periods(connection, stored)
    process = Process(engine.connect())
    kills, months = 0, set[tuple[int, int]]()
    for step in life(seed, agreements=size, records=40 * size, steps=40):
        if step.zone_data_change:
            monkeypatch.setattr(
                "bytemeter.plans.calendars.ZoneInfo", lambda name: ZoneInfo(CHANGED_ZONES.get(name, name))
            )
        if draw.random() < 0.3:
            kills += 1
            process.count(step, killed=True)
            process.connection.close()
            process = Process(engine.connect())
        waiting += process.count(step, killed=False)
        process.close(step)
        _record(engine, step.records)
        truth.take(step)
        if step.month:
            _recompute(engine, step.month, step.now)
            truth.recompute(*step.month, step.now)
        months |= {(one.at.year, one.at.month) for one in step.records}
    process.connection.close()
    assert kills
    assert waiting == len(truth.waiting)
    _compare(engine, rows, truth)
    _compare_owners(rows, truth)
    for month in sorted(months if full else draw.sample(sorted(months), 8)):
        _recompute(engine, month, step.now)
        truth.recompute(*month, step.now)
    _compare(engine, rows, truth)
    types = {event.type for of_period in truth.events.values() for event in of_period}
    assert len(types) >= 4


def _compare(engine: Engine, rows: Rows, truth: Truth) -> None:
    """Totals, latest records and states; all events, those of a period in their order; what waits for an owner."""
    with engine.begin() as connection:
        found = {(row[0], row[1]): tuple(row[2:]) for row in connection.exec_driver_sql(USAGE)}
        told: dict[tuple[str, dt.datetime], list[Event]] = {}
        for agreement, start, *said, payload in connection.exec_driver_sql(EVENTS):
            limit = json.loads(bytes(payload))["maxBytesInBillingPeriod"]
            told.setdefault((agreement, start), []).append(Event(*said, limit))
    expected = {
        (period.agreement, period.start): (usage.total, usage.latest[1], usage.closed)
        for period, usage in truth.usage.items()
        if usage.latest
    }
    assert _differing(found, expected) == {}
    assert _differing(told, {key: events for key, events in truth.events.items() if events}) == {}
    unmatched = rows("select internal_record_id from unmatched_records")
    assert sorted(id_ for (id_,) in unmatched) == sorted(record.id for record in truth.waiting)


def _compare_owners(rows: Rows, truth: Truth) -> None:
    """Whom a recompute would give each record to, by all that is known in the end."""
    found = {id_: (agreement, start) for id_, agreement, start in rows(OWNERS)}
    owners: dict[str, Period | None] = {one.id: truth.period(one) for one in [*truth.counted, *truth.waiting]}
    expected = {id_: (one.agreement, one.start) if one else (None, None) for id_, one in owners.items()}
    assert _differing(found, expected) == {}


def _differing(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> dict[Any, tuple[Any, Any]]:
    """What differs, found and expected: the first of it, for pytest to show."""
    keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
    return {key: (found.get(key), expected.get(key)) for key in keys[:5]}
