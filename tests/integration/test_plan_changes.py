"""Agreements that change or come late, periods that close and are amended, and what the monthly job makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, text

from batch_layer.monthly.job import MonthRecomputed
from batch_layer.months import Month
from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans.events import AMENDED, CLOSED, CORRECTED, EXCEEDED, REACHED
from bytemeter.settings import Settings
from tests.buckets import FOLDER_AND_BUCKET
from tests.builders import agreement, record, utc
from tests.samples import REFUSED_AGREEMENTS, REFUSED_RECORDS

JANUARY, FEBRUARY = Month(2020, 1), Month(2020, 2)
IN_JANUARY, IN_FEBRUARY, IN_MARCH = utc("2020-01-20"), utc("2020-02-10"), utc("2020-03-10")

Rows = Callable[..., list[tuple[Any, ...]]]
Send = Callable[..., None]
Monthly = Callable[..., MonthRecomputed]
Published = Callable[[], list[dict[str, Any]]]

PERIODS = """
select agreement_id, month, total_recorded_bytes, status from data_plan_usage
where year = 2020 order by agreement_id, period_start
"""


class Period(NamedTuple):
    """A billing period as stored."""

    agreement_id: str
    month: int
    total: int
    status: str


class Event(NamedTuple):
    """What a published event says."""

    type: str
    percent: int | None
    total: int
    record: str | None


def events_of(published: list[dict[str, Any]], agreement_id: str = "a") -> list[Event]:
    fields = ("type", "thresholdPercent", "totalRecordedBytes", "latestInternalRecordId")
    return [Event(*(event[name] for name in fields)) for event in published if event["agreementId"] == agreement_id]


def test_bad_input_is_kept_with_its_reason_and_touches_nothing_else(send_plans: Send, rows: Rows) -> None:
    records = {name: case for name, case in REFUSED_RECORDS.items() if case[1] != DATA_RECORDS.clock_reason}
    send_plans(
        [agreement(), *(value for value, _ in REFUSED_AGREEMENTS.values())],
        [record("1", 7), *(value for value, _ in records.values())],
    )
    for feed, expected in (("agreements", REFUSED_AGREEMENTS), ("data-records", records)):
        kept = rows("select payload, reason from invalid_events where feed = :feed order by record_offset", feed=feed)
        assert [(value if value is None else bytes(value), reason) for value, reason in kept] == list(expected.values())
        account = "select received, counted, invalid from ledger where feed = :feed and partition = 0"
        assert rows(account, feed=feed) == [(1 + len(expected), 1, len(expected))]
    assert rows(PERIODS) == [Period("a", 1, 7, "open")]
    assert rows("select count(*) from agreements") == [(1,)]


def test_an_id_that_comes_again_with_other_content_is_listed_as_a_conflict(
    send_plans: Send, monthly: Monthly, rows: Rows
) -> None:
    first = record("1", 100)
    send_plans([agreement()], [first, first, record("1", 900), record("1", 100, internalId="other")])
    send_plans([], [record("1", 100, msisdn="48000000000")])
    assert rows("select record_offset, first_offset, conflict from duplicate_events order by 1") == [
        (1, 0, False), (2, 0, True), (3, 0, False), (4, 0, True),
    ]  # fmt: skip
    assert rows(PERIODS) == [Period("a", 1, 100, "open")]
    assert monthly(JANUARY, IN_JANUARY).plans == 0
    assert rows("select received, counted, duplicate from ledger where feed = 'data-records' and received > 0") == [
        (5, 1, 4)
    ]


def test_a_changed_limit_is_judged_at_once_and_has_thresholds_of_its_own(
    send_plans: Send, published: Published
) -> None:
    send_plans([agreement()], [record("1", 850)])
    send_plans([agreement(maxBytesInBillingPeriod=1600)], [])  # 50 % are reached, 80 % are not
    send_plans([agreement(maxBytesInBillingPeriod=800, thresholds=[90])], [record("2", 50)])
    send_plans([agreement(maxBytesInBillingPeriod=1600)], [])  # the same thresholds as before: the same events
    send_plans([], [record("3", 700)])
    assert events_of(published()) == [
        Event(REACHED, 50, 850, "i-1"),
        Event(REACHED, 80, 850, "i-1"),
        Event(REACHED, 50, 850, "i-1"),
        Event(REACHED, 90, 850, "i-1"),
        Event(EXCEEDED, 100, 850, "i-1"),
        Event(REACHED, 80, 1600, "i-3"),
        Event(EXCEEDED, 100, 1600, "i-3"),
    ]


def test_records_before_any_agreement_wait_and_are_accounted_for(send_plans: Send, rows: Rows) -> None:
    early = record("0", 5, "2019-12-31T22:59:59Z")
    send_plans([], [early, record("1", 600), record("2", 500, msisdn="48000000000")])
    account = "select received, counted, unmatched from ledger where feed = 'data-records' and partition = 0"
    assert rows(account) == [(3, 0, 3)]
    send_plans([agreement()], [record("3", 1)])
    assert rows(account) == [(4, 2, 2)]
    assert rows("select record_offset from unmatched_records order by 1") == [(0,), (2,)]
    assert rows(PERIODS) == [Period("a", 1, 601, "open")]


@FOLDER_AND_BUCKET
def test_a_late_agreement_gets_its_records_from_the_monthly_run(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows
) -> None:
    send_plans([agreement()], [record("1", 400, "2020-01-05T00:00:00Z"), record("2", 300, "2020-01-15T00:00:00Z")])
    send_plans([agreement("b", serviceStartAt="2020-01-10T00:00:00Z")], [record("3", 200, "2020-01-16T00:00:00Z")])
    assert rows(PERIODS) == [Period("a", 1, 700, "open"), Period("b", 1, 200, "open")]
    assert monthly(JANUARY, IN_JANUARY, dry_run=True).plans == 2
    assert rows(PERIODS) == [Period("a", 1, 700, "open"), Period("b", 1, 200, "open")]
    monthly(JANUARY, IN_JANUARY)
    assert rows(PERIODS) == [Period("a", 1, 400, "open"), Period("b", 1, 500, "open")]
    # The first agreement's threshold was emitted with 700 bytes; for the second one no event was emitted yet.
    assert events_of(published())[1:] == [Event(CORRECTED, None, 400, "i-1")]
    assert events_of(published(), "b") == [Event(REACHED, 50, 500, "i-3")]
    assert monthly(JANUARY, IN_JANUARY) == MonthRecomputed(0, (), 0, (), {})


def test_a_closed_period_is_amended_by_late_records_and_moved_ones(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows
) -> None:
    send_plans([agreement()], [record("1", 400)])
    monthly(JANUARY, IN_FEBRUARY)
    send_plans([], [record("2", 50), record("3", 60, "2020-01-09T00:00:00Z")])
    send_plans([], [record("4", 2, "2020-01-11T00:00:00Z")])
    send_plans([agreement(billingPeriodTimeZone="Pacific/Apia", effectiveFrom="2020-01-01T00:00:00Z")], [])
    assert rows(PERIODS) == [Period("a", 1, 512, "closed")]
    monthly(JANUARY, IN_FEBRUARY)
    assert events_of(published()) == [
        Event(CLOSED, None, 400, "i-1"),
        Event(REACHED, 50, 510, "i-2"),
        Event(AMENDED, None, 510, "i-2"),
        Event(AMENDED, None, 512, "i-4"),
        Event(REACHED, 50, 510, "i-2"),
        Event(AMENDED, None, 0, None),
        Event(CLOSED, None, 512, "i-4"),
    ]
    assert rows("select ordinal from threshold_events where type = 'BILLING_PERIOD_AMENDED' order by sequence") == [
        (1,), (2,), (3,),
    ]  # fmt: skip
    assert sum(total for _, _, total, _ in rows(PERIODS)) == 512


def test_periods_close_by_event_time_after_their_grace(send_plans: Send, published: Published, rows: Rows) -> None:
    send_plans([agreement()], [record("1", 400), record("2", 10, "2020-01-31T23:59:59Z")])
    assert published() == []
    send_plans([], [record("3", 1, "2020-02-01T00:00:00Z")])  # an hour after the end of January in Warsaw
    assert events_of(published()) == [Event(CLOSED, None, 400, "i-1")]
    assert rows(PERIODS) == [Period("a", 1, 400, "closed"), Period("a", 2, 11, "open")]


def test_periods_without_any_record_close_too_from_the_arrival_on(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows, engine: Engine
) -> None:
    send_plans([agreement()], [])
    with engine.begin() as connection:
        connection.execute(text("update agreements set arrived_at = '2020-01-20T00:00:00Z'"))
    assert monthly(JANUARY, IN_FEBRUARY).events == {CLOSED: 1}
    assert rows(PERIODS) == [Period("a", 1, 0, "closed"), Period("a", 2, 0, "open")]
    send_plans(
        [], [record("1", 5, "2020-03-05T00:00:00Z", msisdn="48000000000")]
    )  # of another MSISDN: event time goes on
    assert rows(PERIODS) == [Period("a", 1, 0, "closed"), Period("a", 2, 0, "closed"), Period("a", 3, 0, "open")]
    assert events_of(published()) == [Event(CLOSED, None, 0, None)] * 2
    assert [event["month"] for event in published()] == [1, 2]


def test_an_agreement_that_was_followed_by_another_does_not_close_empty_periods_for_ever(
    send_plans: Send, monthly: Monthly, rows: Rows, engine: Engine
) -> None:
    send_plans([agreement(), agreement("b", serviceStartAt="2020-01-10T00:00:00Z")], [])
    with engine.begin() as connection:
        connection.execute(text("update agreements set arrived_at = '2020-01-02T00:00:00Z'"))
    monthly(JANUARY, IN_FEBRUARY)
    monthly(FEBRUARY, IN_MARCH)
    assert rows(PERIODS) == [
        Period("a", 1, 0, "closed"), Period("b", 1, 0, "closed"), Period("b", 2, 0, "closed"), Period("b", 3, 0, "open"),
    ]  # fmt: skip


def test_thresholds_that_the_live_query_missed_are_found_with_the_same_events(
    send_plans: Send, monthly: Monthly, published: Published, rows: Rows, engine: Engine
) -> None:
    send_plans([agreement()], [record("1", 400), record("2", 200), record("3", 500)])
    by_live_query = rows("select event_id, payload::text from threshold_events order by 1")
    with engine.begin() as connection:
        connection.execute(text("delete from threshold_events"))
        connection.execute(text("update data_plan_usage set total_recorded_bytes = 0, next_threshold_bytes = 500"))
        connection.execute(
            text("update data_plan_usage set latest_recorded_at = null, latest_internal_record_id = null")
        )
    assert monthly(JANUARY, IN_JANUARY).plans == 1
    assert rows("select event_id, payload::text from threshold_events order by 1") == by_live_query
    assert len(published()) == 6
    assert rows(PERIODS) == [Period("a", 1, 1100, "open")]


def test_records_that_are_counted_between_snapshot_and_correction_stay(
    send_plans: Send, monthly: Monthly, rows: Rows, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch_layer.monthly import store as plan_store

    send_plans([agreement()], [record("1", 400)])
    with engine.begin() as connection:
        connection.execute(text("update data_plan_usage set total_recorded_bytes = 300 where year = 2020"))
    correct = plan_store.PlanStore.correct

    def count_then_correct(store: Any, *args: Any, **kwargs: Any) -> Any:
        send_plans([], [record("2", 70, "2020-01-12T00:00:00Z")])
        return correct(store, *args, **kwargs)

    monkeypatch.setattr(plan_store.PlanStore, "correct", count_then_correct)
    monthly(JANUARY, IN_JANUARY)
    assert rows(PERIODS) == [Period("a", 1, 470, "open")]
    assert rows("select latest_internal_record_id from data_plan_usage where year = 2020") == [("i-2",)]


def test_events_that_wait_are_published_by_the_next_start(
    send_plans: Send, published: Published, engine: Engine, stream: Callable[..., None], place: Settings
) -> None:
    send_plans([agreement()], [record("1", 600)])
    with engine.begin() as connection:
        connection.execute(text("update threshold_events set published_at = null"))
    send_plans([], [])
    first, again = published()
    assert first == again
    assert json.loads(json.dumps(first))["thresholdPercent"] == 50
