"""Records are counted for the same owner whether that one is known from before, asked for or made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from bytemeter.plans.judging import close
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_store import SESSION
from speed_layer.executor.plans import agreement_parts, record_parts
from speed_layer.plans import statements
from speed_layer.plans.counting import Counted, count_records, take_agreements
from speed_layer.plans.owners import OwnerLookup
from speed_layer.plans.records import Records
from tests.bytemeter.test_plan_parsing import agreement, record
from tests.speed_layer.executor.test_totals_parts import messages

Rows = Callable[..., list[tuple[Any, ...]]]

USED = """
select extract(month from period_start + interval '1 day')::int, total_recorded_bytes, latest_internal_record_id
from data_plan_usage where latest_recorded_at is not null order by period_start
"""

# A hundred thousand pages without a row in them.
SEEN_EMPTY = """
select pg_restore_relation_stats(
    'schemaname', 'public', 'relname', name, 'relpages', 100000, 'reltuples', cast(0 as real)
)
from unnest(array['agreements', 'billing_periods', 'data_plan_usage', 'plan_segments', 'unmatched_records']) as t (name)
"""


class Counting:
    """Counts micro-batches of one process."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.owners, self.seen, self.ids = connection, OwnerLookup(), Deduplicator("data-records"), 0
        with connection.begin():
            connection.exec_driver_sql(SESSION)
            connection.exec_driver_sql(statements.TEMPORARY_TABLES)
            self.seen.load(connection)

    def agree(self, *changes: dict[str, Any]) -> None:
        """Take agreements that differ so from the usual one."""
        rows = agreement_parts(messages(*(agreement(**of_one) for of_one in changes)))["agreements"]
        with self.connection.begin():
            take_agreements(self.connection, self.owners, rows)

    def count(self, *recorded: tuple[str, int]) -> Counted:
        """Count records of these days and bytes."""
        told = []
        for day, value in recorded:
            self.ids += 1
            told.append(
                record(id=str(self.ids), internalId=f"i-{self.ids}", recordedAt=f"{day}T12:00Z", recordedBytes=value)
            )
        return self.count_all(told)

    def count_all(self, told: Iterable[bytes]) -> Counted:
        """Count records."""
        records = Records.of(record_parts(messages(*told))["records"])
        with self.connection.begin():
            counted = count_records(self.connection, self.seen, self.owners, records, waiting_for=())
            self.seen.finish(self.connection)
        return counted


@pytest.fixture
def counting(engine: Engine) -> Iterator[Counting]:
    with engine.connect() as connection:
        yield Counting(connection)


def test_periods_whose_owner_is_known_or_not(engine: Engine, counting: Counting, rows: Rows) -> None:
    counting.agree({})
    counting.count(("2020-01-05", 1), ("2020-01-04", 2))
    counting.count(("2020-01-06", 4), ("2020-02-03", 8))
    counting.count(("2020-01-03", 16), ("2020-01-07", 32))
    assert rows(USED) == [(1, 55, "i-6"), (2, 8, "i-4")]
    with engine.connect() as connection:
        new_process = Counting(connection)
        new_process.ids = 100
        new_process.count(("2020-02-04", 64))
        new_process.count(("2020-02-02", 128), ("2020-01-08", 256))
    assert rows(USED) == [(1, 311, "i-103"), (2, 200, "i-101")]


def test_a_period_that_was_dropped_meanwhile_is_made_anew(counting: Counting, rows: Rows) -> None:
    counting.agree({})
    counting.count(("2020-01-05", 1))
    counting.count(("2020-01-05", 2))
    rows("with dropped as (delete from data_plan_usage where latest_recorded_at is not null) select")
    counting.count(("2020-01-05", 4))
    assert rows(USED) == [(1, 4, "i-3")]
    counting.count(("2020-01-05", 8))
    assert rows(USED) == [(1, 12, "i-4")]


def test_thresholds_are_crossed_by_records_that_were_added_up_before(counting: Counting) -> None:
    counting.agree({"maxBytesInBillingPeriod": 100})
    assert not counting.count(("2020-01-02", 10)).events
    # In the order of their instants: 10, 55, 85, 105.
    crossing = counting.count(("2020-01-05", 20), ("2020-01-03", 45), ("2020-01-04", 30)).events
    assert [(event.percent, event.total_bytes, event.latest_record) for event in crossing] == [
        (50, 55, "i-3"),
        (80, 85, "i-4"),
        (100, 105, "i-2"),
    ]
    assert not counting.count(("2020-01-06", 1)).events


@pytest.mark.parametrize("told_of_sizes", ["select 'nothing'", SEEN_EMPTY])
def test_what_is_told_of_sizes_makes_no_difference(engine: Engine, rows: Rows, told_of_sizes: str) -> None:
    """As after a vacuum of large tables that saw few rows, for the transaction that wrote the others went on."""
    many = 10_000
    numbers = [f"48{n:05}" for n in range(many)]
    told = [{"id": number, "msisdn": number, "maxBytesInBillingPeriod": 30} for number in numbers]
    records = [
        record(id=f"{batch}-{number}", msisdn=number, recordedAt=f"2020-01-{10 + batch}T12:00Z", recordedBytes=10)
        for batch in range(3)
        for number in numbers
    ]
    rows(told_of_sizes)
    with engine.connect() as connection:
        counting = Counting(connection)
        with connection.begin():
            # All with all would take minutes.
            connection.exec_driver_sql("set statement_timeout = '8s'")
        counting.agree(*told)
        events = [counting.count_all(records[n * many : (n + 1) * many]).events for n in range(3)]
        with connection.begin():
            closed = close(connection, dt.datetime(2020, 2, 15, tzinfo=dt.UTC), most=many)
    assert [len(some) for some in events] == [0, many, 2 * many]
    assert len(closed.events) == many
