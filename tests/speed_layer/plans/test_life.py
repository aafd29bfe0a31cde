"""Three years of a network, counted in random micro-batches with kills, against an independent recomputation."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Engine

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
from tests.messages import messages
from tests.speed_layer.plans.life import ZONES, Message, Period, Record, Step, Truth, life, start_s

Rows = Callable[..., list[tuple[Any, ...]]]

TOTALS = """
select agreement_id, extract(epoch from period_start)::bigint, total_recorded_bytes, status from data_plan_usage
where latest_recorded_at is not null
"""
REACHED = """
select agreement_id, extract(epoch from period_start)::bigint, threshold_percent, threshold_bytes from threshold_events
where threshold_percent is not null
"""
OWNERS = """
select r.id, o.agreement_id, extract(epoch from o.period_start)::bigint
from asked as r
left join plan_ownership as o on o.msisdn = r.msisdn and r.at >= o.served_from and r.at < o.served_until
"""
LAST_TOLD = """
select distinct on (e.agreement_id, e.period_start) e.total_recorded_bytes, u.total_recorded_bytes
from threshold_events as e join data_plan_usage as u using (agreement_id, period_start)
where e.type in ('BILLING_PERIOD_AMENDED', 'BILLING_PERIOD_CLOSED') and u.status = 'closed'
order by e.agreement_id, e.period_start, e.sequence desc
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

    def count(self, step: Step, *, killed: bool) -> None:
        """Count a micro-batch in one transaction; killed, nothing of it stays."""
        agreed = agreement_parts(_received(step.agreements))["agreements"]
        sent = messages(*(one.value for one in step.records))
        offsets = pc.add(sent.column("offset"), step.number * sent.num_rows)
        rows = Records.of(record_parts(sent.set_column(1, "offset", offsets))["records"])
        with self.connection.begin() as transaction:
            counted = count_micro_batch(self.connection, self.deduplicator, self.owners, agreed, rows)
            outbox.write(self.connection, list(counted.events), source="live")
            if killed:
                transaction.rollback()
                return
            self.deduplicator.finish(self.connection)

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


def test_a_life_has_the_totals_owners_events_and_states_of_an_independent_recomputation(
    engine: Engine, rows: Rows, seed: int, full: bool
) -> None:
    size = 2_000 if full else 60
    draw, truth, everything = random.Random(seed), Truth(), list[Record]()
    with engine.begin() as connection:
        calendars = (Calendar(zone, anchor) for zone in ZONES for anchor in (1, 15, 31))
        ensure_periods(connection, dict.fromkeys(calendars, Years(2019, 2023)))
    process = Process(engine.connect())
    kills = 0
    for step in life(seed, agreements=size, records=40 * size, steps=40):
        if draw.random() < 0.3:
            kills += 1
            process.count(step, killed=True)
            process.connection.close()
            process = Process(engine.connect())
        process.count(step, killed=False)
        process.close(step)
        truth.take(step)
        everything += step.records
    process.connection.close()
    assert kills
    assert truth.closed
    _compare_live(rows, truth)
    _compare_owners(engine, truth, everything)


def _compare_live(rows: Rows, truth: Truth) -> None:
    """What was counted when it came, and what was told of it."""
    found = {(agreement, start): (total, status) for agreement, start, total, status in rows(TOTALS)}
    expected: dict[tuple[str, int], tuple[int, str]] = {}
    for period, total in truth.totals.items():
        status = "closed" if period in truth.closed else "open"
        expected[(period[0], start_s(period))] = (total, status)
    assert found == expected
    assert set(rows(REACHED)) == truth.reached
    assert all(told == total for told, total in rows(LAST_TOLD))
    waiting = rows("select internal_record_id from unmatched_records")
    assert sorted(id_ for (id_,) in waiting) == sorted(record.id for record in truth.waiting)


def _compare_owners(engine: Engine, truth: Truth, records: list[Record]) -> None:
    """Whom a recompute would give each record to, by all that is known in the end."""
    with engine.begin() as connection:
        connection.exec_driver_sql('create temporary table asked (id text, msisdn text collate "C", at timestamptz)')
        connection.exec_driver_sql(
            "insert into asked select * from unnest(%s::text[], %s::text[], %s::timestamptz[])",
            ([one.id for one in records], [one.msisdn for one in records], [one.at for one in records]),
        )
        found = {id_: (agreement, start) for id_, agreement, start in connection.exec_driver_sql(OWNERS)}
    owners: dict[str, Period | None] = {record.id: truth.period(record) for record in records}
    assert found == {id_: (period[0], start_s(period)) if period else (None, None) for id_, period in owners.items()}
