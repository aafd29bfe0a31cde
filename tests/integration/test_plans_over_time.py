"""What was judged stays judged by the rules of its time, however agreements, clocks and processes change later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, text

from batch_layer.monthly.job import MonthRecomputed
from batch_layer.months import Month
from bytemeter.plans.events import AMENDED, CLOSED, REACHED
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


@pytest.mark.parametrize("field", ["recordedBytes", "internalId"])
def test_a_conflict_is_seen_although_an_optional_field_is_missing(send_plans: Send, rows: Rows, field: str) -> None:
    other = {"recordedBytes": 900} if field == "recordedBytes" else {"msisdn": "48000000000"}
    send_plans([agreement()], [record("1", 100, internalId=...), record("1", 100, internalId=..., **other)])
    assert rows("select conflict from duplicate_events") == [(True,)]
