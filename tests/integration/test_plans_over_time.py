"""What was judged stays judged by the rules of its time, however agreements, clocks and processes change later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import SecretStr
from pyspark.sql import SparkSession
from sqlalchemy import Engine, make_url, text

from batch_layer.monthly.job import MonthlyJob, MonthRecomputed
from batch_layer.months import Month
from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans.events import AMENDED, CLOSED, REACHED
from bytemeter.postgres import database
from bytemeter.settings import Settings
from tests.builders import agreement, record, utc

JANUARY, IN_FEBRUARY = Month(2020, 1), utc("2020-02-10")

Rows = Callable[..., list[tuple[Any, ...]]]
Send = Callable[..., None]
Monthly = Callable[..., MonthRecomputed]
Published = Callable[[], list[dict[str, Any]]]
Put = Callable[..., None]


class Judged(NamedTuple):
    """What a published event says, with the limit by which the period was judged."""

    type: str
    threshold_bytes: int | None
    total: int
    limit: int


def judged(published: list[dict[str, Any]], agreement_id: str = "a") -> list[Judged]:
    fields = ("type", "thresholdBytes", "totalRecordedBytes", "maxBytesInBillingPeriod")
    return [Judged(*(event[name] for name in fields)) for event in published if event["agreementId"] == agreement_id]


def test_a_closed_period_is_judged_by_the_limit_that_it_had(
    send_plans: Send, monthly: Monthly, published: Published
) -> None:
    send_plans([agreement()], [record("1", 400)])
    monthly(JANUARY, IN_FEBRUARY)
    send_plans([agreement(maxBytesInBillingPeriod=500, thresholds=[20, 90])], [])
    send_plans([], [record("2", 150, "2020-01-12T00:00:00Z")])
    monthly(JANUARY, IN_FEBRUARY)
    assert judged(published()) == [
        Judged(CLOSED, None, 400, 1000),
        Judged(REACHED, 500, 550, 1000),
        Judged(AMENDED, None, 550, 1000),
    ]


def test_of_several_messages_with_one_id_the_one_that_kafka_received_last_wins(
    send_plans: Send, put: Put, rows: Rows
) -> None:
    put([agreement(maxBytesInBillingPeriod=7)], topic="agreements", partition=2)
    put([agreement(maxBytesInBillingPeriod=8), agreement(maxBytesInBillingPeriod=9)], topic="agreements", partition=0)
    send_plans([], [record("1", 1)])
    assert rows("select max_bytes_in_billing_period from agreements") == [(9,)]


def test_events_of_a_monthly_run_that_died_are_published_by_the_next_start_of_whatever_process(
    send_plans: Send, monthly: Monthly, published: Published, engine: Engine
) -> None:
    send_plans([agreement()], [record("1", 600)])
    monthly(JANUARY, IN_FEBRUARY)
    with engine.begin() as connection:
        connection.execute(text("update threshold_events set published_at = null where source = 'batch'"))
    send_plans([], [])
    assert judged(published()) == [
        Judged(REACHED, 500, 600, 1000), Judged(CLOSED, None, 600, 1000), Judged(CLOSED, None, 600, 1000),
    ]  # fmt: skip


def test_an_amendment_that_is_made_again_in_another_way_has_another_id_unless_it_says_the_same(
    send_plans: Send, monthly: Monthly, rows: Rows, engine: Engine
) -> None:
    """A backup from before the amendments is restored, and records are counted in other micro-batches."""
    amended = "select event_id, total_recorded_bytes from threshold_events where type = 'BILLING_PERIOD_AMENDED'"
    send_plans([agreement()], [record("1", 400)])
    monthly(JANUARY, IN_FEBRUARY)
    backup = rows("select next_offset from ledger where feed = 'data-records' and partition = 0")
    send_plans([], [record("2", 50)])
    send_plans([], [record("3", 5)])
    before = {total: id_ for id_, total in rows(amended)}
    with engine.begin() as connection:
        restore = (
            "update data_plan_usage set total_recorded_bytes = 400, amendments = 0, "
            "latest_internal_record_id = 'i-1' where year = 2020",
            "delete from threshold_events where type = 'BILLING_PERIOD_AMENDED'",
            "update ledger set next_offset = 1, received = 1, counted = 1 where feed = 'data-records' and partition = 0",
            "truncate seen_ids, seen_segments",
        )
        for statement in restore:
            connection.exec_driver_sql(statement)
    assert backup == [(1,)]
    send_plans([], [])
    ((again, total),) = rows(amended)
    assert (set(before), total) == ({450, 455}, 455)
    assert again == before[455]


def test_a_total_that_comes_back_to_what_was_told_is_told_again_with_another_id(
    send_plans: Send, monthly: Monthly, published: Published
) -> None:
    send_plans([agreement()], [record("1", 400)])
    monthly(JANUARY, IN_FEBRUARY)
    for msisdn in ("48000000000", "48917846822", "48000000000"):
        send_plans([agreement(msisdn=msisdn, effectiveFrom="2020-01-01T00:00:00Z")], [])
        monthly(JANUARY, IN_FEBRUARY)
    amended = [event for event in published() if event["type"] == AMENDED]
    assert [event["totalRecordedBytes"] for event in amended] == [0, 400, 0]
    assert len({event["eventId"] for event in amended}) == 3


OWNED = """
select agreement_id, total_recorded_bytes, status from data_plan_usage
where year = 2020 and month = 1 and latest_recorded_at is not null order by agreement_id
"""


def test_a_number_that_moves_in_the_middle_of_a_month_takes_along_only_what_is_recorded_later(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows
) -> None:
    """The example of docs/data-plans.md, live and recomputed."""
    moves = "2020-01-20T00:00:00+01:00"
    others = {"id_": "b", "msisdn": "200"}
    send_plans(
        [agreement(msisdn="100"), agreement(**others)],
        [record("1", 400, "2020-01-10T12:00:00Z", msisdn="100"), record("2", 30, "2020-01-19T22:59:59Z", msisdn="100")],
    )
    send_plans(
        [agreement(msisdn="300", effectiveFrom=moves), agreement(**{**others, "msisdn": "100"}, effectiveFrom=moves)],
        [record("3", 5, "2020-01-19T23:00:00Z", msisdn="100"), record("4", 1, "2020-01-25T00:00:00Z", msisdn="300")],
    )
    assert rows(OWNED) == [("a", 431, "open"), ("b", 5, "open")]
    assert monthly(JANUARY, IN_FEBRUARY).plans == 0
    send_plans([], [record("5", 7, "2020-01-19T00:00:00Z", msisdn="100")])  # late
    assert rows(OWNED) == [("a", 438, "closed"), ("b", 5, "closed")]
    assert monthly(JANUARY, IN_FEBRUARY).plans == 0
    assert [event for event in judged(published()) if event.type == AMENDED] == [Judged(AMENDED, None, 438, 1000)]
    known = "select id, msisdn, effective_from, holds_until > now() from agreement_versions order by 1, 3"
    start, moved = utc("2019-12-31T23:00:00"), utc("2020-01-19T23:00:00")
    assert rows(known) == [
        ("a", "100", start, False), ("a", "300", moved, True), ("b", "200", start, False), ("b", "100", moved, True),
    ]  # fmt: skip


def test_a_change_that_does_not_say_from_when_leaves_closed_months_alone(
    send_plans: Send, monthly: Monthly, rows: Rows
) -> None:
    send_plans([agreement()], [record("1", 400)])
    monthly(JANUARY, IN_FEBRUARY)
    send_plans([agreement(msisdn="48000000000", billingPeriodTimeZone="Pacific/Apia", anchorDay=15)], [])
    assert monthly(JANUARY, IN_FEBRUARY).plans == 0
    assert rows(OWNED) == [("a", 400, "closed")]


def test_a_correction_of_the_past_moves_what_was_counted_with_the_next_monthly_run(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows
) -> None:
    send_plans(
        [agreement(), agreement("b", msisdn="49")],
        [record("1", 400), record("2", 300, "2020-01-12T00:00:00Z"), record("3", 10, msisdn="49")],
    )
    monthly(JANUARY, IN_FEBRUARY)
    # From the 11th to the 13th the number was B's.
    for id_, msisdn, day in (("b", "48917846822", 11), ("a", "50", 11), ("b", "49", 13), ("a", "48917846822", 13)):
        send_plans([agreement(id_, msisdn=msisdn, effectiveFrom=f"2020-01-{day}T00:00:00Z")], [])
    assert rows(OWNED) == [("a", 700, "closed"), ("b", 10, "closed")]
    assert monthly(JANUARY, IN_FEBRUARY, dry_run=True).plans == 2
    monthly(JANUARY, IN_FEBRUARY)
    assert rows(OWNED) == [("a", 400, "closed"), ("b", 310, "closed")]
    told = {id_: judged(published(), id_)[-1] for id_ in "ab"}
    assert told == {"a": Judged(AMENDED, None, 400, 1000), "b": Judged(AMENDED, None, 310, 1000)}


def test_a_limit_with_effective_from_counts_for_the_periods_that_end_later(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows
) -> None:
    send_plans([agreement()], [record("1", 400), record("2", 400, "2020-02-02T00:00:00Z")])
    send_plans([agreement(maxBytesInBillingPeriod=400, effectiveFrom="2020-02-10T00:00:00Z")], [])
    send_plans([], [record("3", 400, "2020-03-02T00:00:00Z")])
    limits = "select month, max_bytes_in_billing_period from data_plan_usage where year = 2020 order by 1"
    assert rows(limits) == [(1, 1000), (2, 400), (3, 400)]


def test_what_a_wrong_clock_refused_is_listed_with_the_time_from_which_on_it_can_be_counted(
    send_plans: Send, monthly: Monthly, rows: Rows
) -> None:
    """Both look as if they came from the future; the first one did not, the clock was days behind."""
    future = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=26)).isoformat(timespec="seconds")
    send_plans([agreement()], [record("1", 5, future), record("2", 7, future)])
    rows("update invalid_events set event_time = '2020-01-10' where record_offset = 0 returning 1")
    countable = "select record_offset, countable_at < now() from refused_by_clock order by 1"
    assert rows(countable) == [(0, True), (1, False)]
    assert rows("select received, counted, invalid from ledger where invalid > 0") == [(2, 0, 2)]
    # The recompute leaves out what was refused: it is counted when it is replayed, and not before.
    assert monthly(JANUARY, IN_FEBRUARY).plans == 0


FIGURES = """
select agreement_id, period_start, total_recorded_bytes, latest_internal_record_id, status, max_bytes_in_billing_period
from data_plan_usage where latest_recorded_at is not null order by 1, 2
"""
LAST_EVENTS = """
select distinct on (agreement_id, period_start) event_id, encode(payload, 'hex') from threshold_events
order by agreement_id, period_start, sequence desc
"""


def test_a_restored_backup_comes_to_the_same_figures_and_event_ids_beside_a_kafka_and_a_history_that_went_on(
    place: Settings,
    as_writer: Settings,
    send_plans: Send,
    spark: SparkSession,
    stream: Callable[..., None],
    engine: Engine,
) -> None:
    def monthly(settings: Settings) -> MonthRecomputed:
        stream(DATA_RECORDS, live=False, settings=settings)
        return MonthlyJob(spark, settings, JANUARY, IN_FEBRUARY, wait_s=60).run()

    send_plans([agreement(), agreement("b", msisdn="49")], [record("1", 400), record("2", 300, msisdn="49")])
    monthly(as_writer)
    url = make_url(place.require_database_url())
    backup = f"{url.database}_backup"
    admin = database(url.set(database="postgres").render_as_string(hide_password=False))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {backup} template {url.database}"))
    try:
        for records in ([record("3", 50)], [record("4", 5), record("5", 700, msisdn="49")], [record("1", 400)]):
            send_plans([], records)
        send_plans([agreement("b", msisdn="49", maxBytesInBillingPeriod=7)], [record("6", 1, msisdn="49")])
        monthly(as_writer)
        written = make_url(as_writer.require_database_url()).set(database=backup).render_as_string(hide_password=False)
        restored = as_writer.model_copy(update={"database_url": SecretStr(written)})
        send_plans([], [], settings=restored)
        monthly(restored)
        other = database(url.set(database=backup).render_as_string(hide_password=False))
        for figures in (FIGURES, LAST_EVENTS):
            found = []
            for one in (engine, other):
                with one.begin() as connection:
                    found.append([tuple(map(str, row)) for row in connection.execute(text(figures))])
            assert found[0] == found[1]
    finally:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database {backup} with (force)"))
