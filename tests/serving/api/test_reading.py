"""A question sees one moment, by one statement or by several, and its plans are made again for a new connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, make_url, text

from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from bytemeter.settings import Settings
from serving.api.money import bill
from serving.api.plans import data_plan
from serving.api.reading import Prepared, Reading, SeveralStatementsError
from serving.api.snapshots import Snapshots
from serving.api.totals import Which
from serving.api.usage import Question, usage
from tests.builders import utc
from tests.serving.api.conftest import Figures, subscriber

COUNTED = text("select sum(next_offset)::integer as counted, '50 %s' as other from ledger where feed = :feed")


@pytest.fixture
def snapshots(stored: Settings) -> Iterator[Snapshots]:
    asked = Snapshots(make_url(stored.require_database_url()), connections=1, timeout_s=10)
    yield asked
    asked.close()


@pytest.fixture
def counted(engine: Engine) -> None:
    """Seven messages are counted."""
    with engine.begin() as connection:
        connection.execute(
            text("insert into ledger (feed, partition, topic_id, next_offset) values ('devices', 0, 't', 7)")
        )


def test_a_question_of_one_statement_has_no_transaction(snapshots: Snapshots) -> None:
    asked: list[bool] = []

    def question(reading: Reading) -> bool:
        asked.append(reading.transaction)
        statement = text("select pg_current_xact_id_if_assigned() is null and now() = statement_timestamp()")
        return bool(reading.scalars(statement).one())

    assert snapshots.asked(question)
    assert asked == [False]


def test_a_question_of_several_statements_sees_one_moment(snapshots: Snapshots, engine: Engine, counted: None) -> None:
    prepared, asked = Prepared("counted", COUNTED), list[bool]()

    def question(reading: Reading) -> list[int]:
        asked.append(reading.transaction)
        first = reading.rows(prepared, {"feed": "devices"})[0].counted
        with engine.begin() as connection:
            connection.execute(text("update ledger set next_offset = next_offset + 1"))
        return [first, reading.rows(prepared, {"feed": "devices"})[0].counted]

    assert snapshots.asked(question) == [8, 8]
    assert asked == [False, True]
    with pytest.raises(SeveralStatementsError):
        Reading(None, transaction=False).several()  # type: ignore[arg-type]


def test_a_statement_is_planned_once_by_each_connection(snapshots: Snapshots, engine: Engine, counted: None) -> None:
    prepared = Prepared("counted", COUNTED)

    def question(reading: Reading) -> tuple[int, str]:
        row = reading.rows(prepared, {"feed": "devices"})[0]
        return row.counted, row.other

    def plans(reading: Reading) -> int:
        return int(reading.scalars(text("select count(*) from pg_prepared_statements where name = 'counted'")).one())

    for _ in range(2):
        assert [snapshots.asked(question) for _ in range(3)] == [(7, "50 %s")] * 3
        assert snapshots.asked(plans) == 1
        # A connection that is gone takes its plans along; the next one makes its own.
        with engine.begin() as connection:
            connection.execute(text("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                                    " and datname = current_database() and application_name = 'bytemeter'"))  # fmt: skip


def test_a_month_is_that_of_the_zone_in_the_database_whatever_is_assumed(snapshots: Snapshots, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into billing_zone (zone) values ('Europe/Warsaw')"))
        connection.execute(
            text("insert into billable_monthly values ('2026-09-30T22:00:00Z', 'customer', 'Emma', 12.345)")
        )
    for assumed in ("Europe/Warsaw", "UTC", "Asia/Tokyo"):
        found = snapshots.asked(bill("customer", "Emma", (2026, 10), assumed))
        assert found is not None
        assert (found.month, str(found.shown), str(found.exact)) == ("2026-10", "12.34", "12.345")
        empty = snapshots.asked(bill("customer", "Emma", (2026, 9), assumed))
        assert empty is not None
        assert (empty.month, str(empty.shown)) == ("2026-09", "0.00")
        assert snapshots.asked(bill("customer", "Nobody", (2026, 10), assumed)) is None


def test_a_day_a_plan_and_a_month_are_read_by_one_statement_each(
    snapshots: Snapshots, engine: Engine, figures: Figures
) -> None:
    with engine.begin() as connection:
        subscriber(connection, "a", "48")
        ensure_periods(connection, {Calendar("UTC", 1): Years(2025, dt.datetime.now(dt.UTC).year)})
    which, start = Which("devices", "app_bytes_total"), utc("2026-10-21")
    day = Question(which, "1h", ZoneInfo("UTC"), start, start + dt.timedelta(days=1), None, 1_000)
    # How many ids a window has is known once it was asked for.
    known = snapshots.asked(usage(day))
    assert len(known.rows) > 24
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        def by_one_statement(question: Callable[[Reading], Any]) -> Any:
            return question(Reading(connection, transaction=False))

        assert by_one_statement(usage(day)) == known
        assert by_one_statement(data_plan("48")).agreement_id == "a"
        assert by_one_statement(bill("type", "CALL", None, "UTC")).shown == 0
        # A period that is not stored is computed, and read by a second one.
        with pytest.raises(SeveralStatementsError):
            by_one_statement(data_plan("48", utc("2040-01-15")))
    later = snapshots.asked(data_plan("48", utc("2040-01-15")))
    assert later is not None
    assert (later.period.year, later.period.month, later.limit) == (2040, 1, 1_000)
