"""A micro-batch is counted the same whether owners are in memory, read or made, and records added up or looked at singly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, Engine

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans.events import ThresholdEvent
from bytemeter.plans.judging import close_periods
from speed_layer.dedup.horizon import DEFAULT, Horizon
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_store import SESSION
from speed_layer.executor.plans import agreement_parts, record_parts
from speed_layer.plans.counting import Counted, count_micro_batch
from speed_layer.plans.owners import OwnerLookup
from speed_layer.plans.records import Records
from speed_layer.plans.tables import create_temporary_tables
from tests.builders import agreement, record
from tests.messages import messages

Rows = Callable[..., list[tuple[Any, ...]]]

TOTALS = """
select extract(month from period_start + interval '1 day')::int, total_recorded_bytes, latest_internal_record_id
from data_plan_usage where latest_recorded_at is not null order by period_start
"""

# A hundred thousand pages without a row in them.
SEEM_EMPTY = """
select pg_restore_relation_stats(
    'schemaname', 'public', 'relname', name, 'relpages', 100000, 'reltuples', cast(0 as real)
)
from unnest(array[
    'agreements', 'agreement_versions', 'agreement_services', 'billing_periods', 'data_plan_usage', 'plan_segments',
    'unmatched_records'
]) as t (name)
"""
AS_ANALYSED = "select 'nothing'"


class Total(NamedTuple):
    """A billing period with records."""

    month: int
    bytes: int
    latest_record: str


class Crossed(NamedTuple):
    """What an event says of the threshold and of the record that crossed it."""

    percent: int | None
    total: int
    record: str | None


def crossed(events: Iterable[ThresholdEvent]) -> list[Crossed]:
    return [Crossed(event.percent, event.total_bytes, event.latest_record) for event in events]


class Counting:
    """A process that counts micro-batches of agreements and data records."""

    def __init__(self, connection: Connection, *, first_id: int = 1) -> None:
        self.connection, self.next_id = connection, first_id
        self.owners, self.deduplicator = OwnerLookup(), Deduplicator(Horizon.of(DATA_RECORDS, DEFAULT))
        with connection.begin():
            connection.exec_driver_sql(SESSION)
            create_temporary_tables(connection)
            self.deduplicator.load(connection)

    def count(self, *recorded: tuple[str, int], agreements: Iterable[bytes] = ()) -> Counted:
        """Count agreements, and records given by day and bytes; their internal ids are i-1, i-2, ..."""
        records = []
        for day, size in recorded:
            records.append(record(str(self.next_id), size, f"{day}T12:00Z"))
            self.next_id += 1
        return self.count_messages(records, agreements)

    def count_messages(self, records: Iterable[bytes], agreements: Iterable[bytes] = ()) -> Counted:
        """Count messages."""
        rows = Records.of(record_parts(messages(*records))["records"])
        agreed = agreement_parts(messages(*agreements))["agreements"]
        with self.connection.begin():
            counted = count_micro_batch(self.connection, self.deduplicator, self.owners, agreed, rows)
            self.deduplicator.finish(self.connection)
        return counted


@pytest.fixture
def counting(engine: Engine) -> Iterator[Counting]:
    with engine.connect() as connection:
        yield Counting(connection)


def test_totals_are_the_same_whether_the_owner_is_made_remembered_or_read(
    engine: Engine, counting: Counting, rows: Rows
) -> None:
    counting.count(("2020-01-05", 1), ("2020-01-04", 2), agreements=[agreement()])
    counting.count(("2020-01-06", 4), ("2020-02-03", 8))
    counting.count(("2020-01-03", 16), ("2020-01-07", 32))
    assert rows(TOTALS) == [Total(1, 55, "i-6"), Total(2, 8, "i-4")]
    with engine.connect() as connection:
        new_process = Counting(connection, first_id=101)
        new_process.count(("2020-02-04", 64))
        new_process.count(("2020-02-02", 128), ("2020-01-08", 256))
    assert rows(TOTALS) == [Total(1, 311, "i-103"), Total(2, 200, "i-101")]


def test_a_period_that_was_deleted_since_its_owner_was_read_is_opened_again(counting: Counting, rows: Rows) -> None:
    counting.count(("2020-01-05", 1), agreements=[agreement()])
    counting.count(("2020-01-05", 2))
    rows("with deleted as (delete from data_plan_usage where latest_recorded_at is not null) select")
    counting.count(("2020-01-05", 4))
    assert rows(TOTALS) == [Total(1, 4, "i-3")]
    counting.count(("2020-01-05", 8))
    assert rows(TOTALS) == [Total(1, 12, "i-4")]


def test_records_are_not_lost_where_ownership_spans_name_periods_that_are_gone(counting: Counting, rows: Rows) -> None:
    both = ("2020-01-05", 1), ("2020-02-05", 1)
    counting.count(*both, agreements=[agreement()])
    rows("with deleted as (delete from data_plan_usage where month = 2) select")
    with pytest.raises(BytemeterError, match="plan_segments names 1 billing periods that data_plan_usage does not"):
        counting.count(*both)


def test_thresholds_are_crossed_by_records_that_were_added_up(counting: Counting) -> None:
    counting.count(agreements=[agreement(maxBytesInBillingPeriod=100)])
    assert not counting.count(("2020-01-02", 10)).events
    # In the order of their instants: 10, 55, 85, 105.
    counted = counting.count(("2020-01-05", 20), ("2020-01-03", 45), ("2020-01-04", 30))
    assert crossed(counted.events) == [Crossed(50, 55, "i-3"), Crossed(80, 85, "i-4"), Crossed(100, 105, "i-2")]
    assert not counting.count(("2020-01-06", 1)).events


def test_thresholds_of_two_periods_are_crossed_by_records_that_were_looked_at_one_by_one(counting: Counting) -> None:
    counting.count(("2020-01-02", 10), agreements=[agreement(maxBytesInBillingPeriod=100)])
    counted = counting.count(("2020-02-05", 60), ("2020-01-04", 30), ("2020-01-03", 45), ("2020-02-04", 20))
    assert crossed(counted.events) == [Crossed(50, 55, "i-4"), Crossed(80, 85, "i-3"), Crossed(50, 80, "i-2"), Crossed(80, 80, "i-2")]  # fmt: skip


def test_a_limit_of_nothing_is_reached_by_the_first_record(counting: Counting) -> None:
    records = [record(str(n), size) for n, size in enumerate([0, 0, 5])]
    counted = counting.count_messages(records, [agreement(maxBytesInBillingPeriod=0)])
    assert crossed(counted.events) == [Crossed(50, 0, "i-0"), Crossed(80, 0, "i-0"), Crossed(100, 0, "i-0")]


def test_a_record_belongs_to_the_period_of_its_own_time_zone(counting: Counting, rows: Rows) -> None:
    in_january, in_february = "2020-01-31T22:59:59.999999Z", "2020-01-31T23:00:00Z"
    counting.count_messages([record("1", 1, in_january), record("2", 10, in_february)], [agreement()])
    assert rows(TOTALS) == [Total(1, 1, "i-1"), Total(2, 10, "i-2")]


def test_a_limit_with_effective_from_counts_for_the_periods_that_end_later(counting: Counting, rows: Rows) -> None:
    counting.count(("2020-01-10", 400), ("2020-02-02", 400), agreements=[agreement()])
    counting.count(agreements=[agreement(maxBytesInBillingPeriod=400, effectiveFrom="2020-02-10T00:00:00Z")])
    counting.count(("2020-03-02", 400))
    limits = "select month, max_bytes_in_billing_period from data_plan_usage where year = 2020 order by 1"
    assert rows(limits) == [(1, 1000), (2, 400), (3, 400)]


def test_thresholds_are_crossed_in_the_order_of_instants_by_records_of_two_numbers_of_an_agreement(
    counting: Counting,
) -> None:
    """The records of the one number are added up, that of the other one is looked at by itself."""
    changed = agreement(maxBytesInBillingPeriod=100, msisdn="2", effectiveFrom="2020-01-10T00:00:00Z")
    first = record("first", 10, "2020-01-11T00:00:00Z", msisdn="2")
    counting.count_messages([first], [agreement(maxBytesInBillingPeriod=100, msisdn="1"), changed])
    records = [
        record("later", 30, "2020-01-15T00:00:00Z", msisdn="2"),
        record("earlier", 45, "2020-01-05T00:00:00Z", msisdn="1"),
    ]
    counted = counting.count_messages(records)
    assert crossed(counted.events) == [Crossed(50, 55, "i-earlier"), Crossed(80, 85, "i-later")]


def test_unmatched_records_are_accounted_for_and_counted_with_their_agreement(counting: Counting, rows: Rows) -> None:
    waiting = counting.count(("2020-01-05", 1), ("2020-01-04", 2))
    assert [account.unmatched for account in waiting.accounts] == [2]
    counted = counting.count(("2020-01-06", 4), agreements=[agreement()])
    assert [account.unmatched for account in counted.accounts] == [-2]
    assert rows(TOTALS) == [Total(1, 7, "i-3")]


def test_records_behind_the_horizon_are_counted_whatever_their_ids(counting: Counting, rows: Rows) -> None:
    counting.count(agreements=[agreement()])
    rows(
        "with counted as (insert into ledger (feed, partition, topic_id, next_offset, latest_event_time) values "
        "('data-records', 0, 't', 0, '2020-01-10T12:59Z')) select"
    )
    old, within = record("1", 1, "2020-01-08T11:59Z"), record("2", 10, "2020-01-08T12:00Z")
    counted = [counting.count_messages(batch) for batch in ([old, within, old, within], [old, within])]
    assert rows(TOTALS) == [Total(1, 13, "i-2")]
    assert [sum(a.behind_horizon for a in of_batch.accounts) for of_batch in counted] == [2, 1]
    assert [sum(a.duplicate for a in of_batch.accounts) for of_batch in counted] == [1, 1]


@pytest.mark.parametrize("sizes", [AS_ANALYSED, SEEM_EMPTY])
def test_what_postgresql_takes_for_the_sizes_of_tables_makes_no_difference(
    engine: Engine, rows: Rows, sizes: str
) -> None:
    """As after a vacuum of large tables that saw few rows, because the transaction that wrote the others went on."""
    many = 10_000
    msisdns = [f"48{n:05}" for n in range(many)]
    agreements = [agreement(msisdn, msisdn=msisdn, maxBytesInBillingPeriod=30) for msisdn in msisdns]
    records = [
        [record(f"{batch}-{msisdn}", 10, f"2020-01-{10 + batch}T12:00Z", msisdn=msisdn) for msisdn in msisdns]
        for batch in range(3)
    ]
    rows(sizes)
    with engine.connect() as connection:
        counting = Counting(connection)
        with connection.begin():
            # A join of all rows with all rows would take minutes.
            connection.exec_driver_sql("set statement_timeout = '8s'")
        counting.count_messages([], agreements)
        events = [counting.count_messages(batch).events for batch in records]
        with connection.begin():
            closed = close_periods(connection, dt.datetime(2020, 2, 15, tzinfo=dt.UTC), most=many)
    assert [len(of_batch) for of_batch in events] == [0, many, 2 * many]
    assert len(closed.events) == many
