"""Billable events from Kafka to both views: exact to the millionth of a euro, in months of the billing zone."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import DecimalType

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.errors import BytemeterError
from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.settings import Settings
from simulator.billable_events import TYPES
from tests.messages import billable_event
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., None]

ZONE = "Asia/Kolkata"
# The end of October in Kolkata is at half past an hour of UTC.
END_S = int(dt.datetime(2026, 10, 31, 18, 30, tzinfo=dt.UTC).timestamp())
NOVEMBER = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
MONTHS = "select to_char(month at time zone :zone, 'YYYY-MM'), dimension, id, total from billable_monthly"


@pytest.fixture
def billing(as_writer: Settings) -> Settings:
    """The test's place with a billing zone of half hours, and a horizon that is near."""
    return as_writer.model_copy(update={"billing_zone": ZONE, "identity_horizon_s": 3_600.0})


def by_month(events: list[dict[str, Any]]) -> dict[tuple[str, str, str], Decimal]:
    """The totals that events come to, by month in Kolkata, dimension and id."""
    totals: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for event in events:
        month = f"{dt.datetime.fromtimestamp(event['timestamp'], ZoneInfo(ZONE)):%Y-%m}"
        escaped = event["customer"].replace("%", "%25").replace("/", "%2F")
        for dimension, id_ in (
            ("customer", event["customer"]),
            ("type", event["type"]),
            ("customer_type", f"{escaped}/{event['type']}"),
        ):
            totals[month, dimension, id_] += Decimal(event["amount"])
    return totals


def found(rows: Rows, statement: str = MONTHS) -> dict[tuple[str, str, str], Decimal]:
    """The stored totals in the same form."""
    return {(month, dimension, id_): total for month, dimension, id_, total in rows(statement, zone=ZONE)}


def written(event: dict[str, Any], *, as_number: bool) -> bytes:
    value = billable_event(**event)
    return value.replace(f'"{event["amount"]}"'.encode(), event["amount"].encode()) if as_number else value


def drawn_events(count: int) -> list[dict[str, Any]]:
    """Events of any amounts and signs around the end of October, with event ids."""
    drawn = random.Random(SEED)
    return [
        {
            "timestamp": END_S + drawn.choice([-7_200, -1, 0, 1_799, 7_200]),
            "customer": drawn.choice(["Ann/e", "100%", "Emma"]),
            "amount": f"{Decimal(drawn.randrange(-(10**9), 10**12)) / drawn.choice([1, 100, 10**6]):f}",
            "type": drawn.choice(TYPES),
            "event_id": f"e{n}",
        }
        for n in range(count)
    ]


def test_999_events_of_three_customers_are_499500_euros_and_the_types_of_each_customer_are_its_total(
    billing: Settings, put: Put, stream: Callable[..., None], rows: Rows, spark: SparkSession
) -> None:
    drawn = random.Random(SEED)
    three = [
        {
            "timestamp": END_S - 1 - drawn.randrange(20 * 86_400),
            "customer": drawn.choice(["Anton", "Berta", "Charlie"]),
            "amount": str(euros),
            "type": drawn.choice(TYPES),
        }
        for euros in range(1, 1_000)
    ]
    others = drawn_events(300)
    values = [written(event, as_number=n % 2 == 1) for n, event in enumerate([*three, *others])]
    put([*values, *values[-50:], billable_event(amount="1e3")], topic="billable-events")
    # The same event without an id is another event; with one it is a duplicate.
    put([values[0]], topic="billable-events")
    expected = by_month([*three, three[0], *others])
    stream(BILLABLE_EVENTS, settings=billing)

    assert found(rows) == expected
    total = sum(total for (_, dimension, id_), total in expected.items() if id_ in ("Anton", "Berta", "Charlie"))
    assert total - Decimal(three[0]["amount"]) == Decimal("499500.00")
    assert rows("select received, counted, duplicate, invalid from ledger where partition = 0") == [(1351, 1300, 50, 1)]
    by_customer: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for (month, dimension, id_), amount in found(rows).items():
        if dimension == "customer_type":
            customer = id_.rpartition("/")[0].replace("%2F", "/").replace("%25", "%")
            by_customer[month, customer] += amount
    assert by_customer == {
        (month, id_): total for (month, dimension, id_), total in found(rows).items() if dimension == "customer"
    }
    history = spark.read.format("delta").load(f"{billing.history}/billable-events")
    assert history.schema["amount"].dataType == DecimalType(21, 6)

    HourlyJob(spark, billing, BILLABLE_EVENTS, wait_s=60).run()
    assert rows("select count(*) from hours where dirty") == [(0,)]
    assert rows("select sum(total) from billable_hourly where dimension = 'type'") == [
        (sum(total for (_, dimension, _), total in expected.items() if dimension == "type"),)
    ]


def test_a_recompute_takes_out_what_the_live_totals_had_twice_and_keeps_what_came_since(
    billing: Settings, put: Put, stream: Callable[..., None], rows: Rows, spark: SparkSession
) -> None:
    events = drawn_events(40)
    values = [billable_event(**event) for event in events]
    later = billable_event(timestamp=END_S + 20 * 86_400, event_id="later")
    put([*values, later], topic="billable-events")
    stream(BILLABLE_EVENTS, settings=billing)
    # Behind the horizon ids are not known any more.
    put(values[:10], topic="billable-events")
    stream(BILLABLE_EVENTS, settings=billing)
    exact = by_month([*events, json.loads(later)])
    assert found(rows) == {key: total + by_month(events[:10]).get(key, 0) for key, total in exact.items()}

    def recompute(month: Month, *, dry_run: bool = False) -> None:
        MonthlyJob(spark, billing, month, NOVEMBER, dry_run=dry_run, wait_s=60).run()

    recompute(Month(2026, 10), dry_run=True)
    assert rows("select count(*) from billable_recomputes") == [(0,)]
    for month in (Month(2026, 10), Month(2026, 11)):
        recompute(month)
    assert found(rows) == exact == found(rows, MONTHS.replace("billable_monthly", "billable_recomputed"))
    assert rows("select count(*) from billable_live_against_batch") == [(0,)]
    put([billable_event(timestamp=END_S - 60, amount="0.000001", event_id="late")], topic="billable-events")
    stream(BILLABLE_EVENTS, settings=billing)
    assert rows("select dimension, id, delta from billable_live_against_batch order by 1") == [
        ("customer", "Charlie", Decimal("-0.000001")),
        ("customer_type", "Charlie/CALL", Decimal("-0.000001")),
        *([] if ("2026-10", "type", "CALL") not in exact else [("type", "CALL", Decimal("-0.000001"))]),
    ]


def test_another_billing_zone_is_refused_once_months_are_counted(
    billing: Settings, put: Put, stream: Callable[..., None], rows: Rows
) -> None:
    put([billable_event()], topic="billable-events")
    stream(BILLABLE_EVENTS, settings=billing, history=False)
    put([billable_event()], topic="billable-events")
    with pytest.raises(BytemeterError, match="BYTEMETER_BILLING_ZONE is UTC, but the months .* in Asia/Kolkata"):
        stream(BILLABLE_EVENTS, history=False)
    stream(BILLABLE_EVENTS, settings=billing, history=False)
    assert rows("select total, total_eur from billable_by_month where dimension = 'type'") == [
        (Decimal("399.98"), Decimal("399.98"))
    ]


def test_halves_of_a_cent_are_rounded_to_the_even_one(rows: Rows) -> None:
    amounts = ["0.005", "0.015", "0.025", "-0.005", "-0.015", "0.0149999", "0.0150001", "-2.675", "1e15", "7"]
    expected = ["0.00", "0.02", "0.02", "0.00", "-0.02", "0.01", "0.02", "-2.68", "1000000000000000.00", "7.00"]
    for amount, rounded in zip(amounts, expected, strict=True):
        ((text,),) = rows("select round_half_even(cast(:amount as numeric), 2)::text", amount=amount)
        assert text == rounded, amount
