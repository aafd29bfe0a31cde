"""Feeds of other kinds than ours are declared, not coded: money, counts and nested JSON, from Kafka to both views."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from sqlalchemy import Engine

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.feeds import FEEDS, Dimension, Feed, Field, Kinds, Rule, Text, Totals, TotalsTable, Whole
from bytemeter.feeds import Decimal as DecimalField
from bytemeter.feeds.rules import under
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.windows import FIVE_MINUTES, HOUR, CalendarMonth
from speed_layer.stream import Streams
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., None]

WARSAW = "Europe/Warsaw"
# One second before the month ends in Warsaw, and two hours later, when it has not ended in UTC yet.
END_OF_OCTOBER = int(dt.datetime(2026, 10, 31, 22, 59, 59, tzinfo=dt.UTC).timestamp())


MONEY = Feed(
    name="test-money",
    topic="test-money",
    fields=(
        Field("timestamp", Whole()),
        Field("customer", Text()),
        Field("amount", DecimalField()),
        Field("type", Text(max_length=10)),
        Field("event_id", Text(), required=False),
    ),
    key="customer",
    event_us=lambda records: pc.multiply(records.column("timestamp"), 1_000_000),
    event_id="event_id",
    rules=(Rule("timestamp before 2000", under("timestamp", 946_684_800)),),
    live_query="totals",
    totals=Totals(
        measure="amount",
        dimensions=(
            Dimension("customer", ("customer",)),
            Dimension("type", ("type",)),
            Dimension("customer_type", ("customer", "type")),
        ),
        live=TotalsTable("test_money", CalendarMonth(WARSAW), type="dimension", start="month", value="total"),
        hourly=TotalsTable("test_money_hourly", HOUR, type="dimension", value="total"),
        monthly=TotalsTable("test_money_monthly", CalendarMonth(), type="dimension", start="month", value="total"),
    ),
)
MONEY_TABLES = """
create table test_money (
    dimension text, id text, month timestamptz, total numeric, primary key (month, dimension, id)
);
create table test_money_hourly (
    dimension text, id text, timestamp timestamptz, total numeric, primary key (dimension, timestamp, id)
);
create table test_money_monthly (
    dimension text, id text, month timestamptz, total numeric, primary key (dimension, month, id)
)
"""

COUNTS = Feed(
    name="test-games",
    topic="test-games",
    fields=(Field("event_type", Text()), Field("timestamp", Whole()), Field("event_id", Text(), required=False)),
    key=None,
    event_us=lambda records: pc.multiply(records.column("timestamp"), 1_000_000),
    event_id="event_id",
    rules=(),
    live_query="totals",
    clock_tolerance_s=7_200,
    totals=Totals(
        measure=None,
        dimensions=(Dimension("event_type", ("event_type",)),),
        live=TotalsTable("test_counts", FIVE_MINUTES, type="dimension", constants=(("feed", "test-games"),)),
        hourly=TotalsTable("test_counts_hourly", HOUR, type="dimension", constants=(("feed", "test-games"),)),
    ),
)
COUNT_TABLES = "".join(
    f"create table {name} (feed text, dimension text, id text, timestamp timestamptz, value bigint, "
    "primary key (feed, dimension, id, timestamp)); "
    f"insert into {name} values ('another-feed', 'event_type', 'purchase', '2026-11-21T10:00Z', 17);"
    for name in ("test_counts", "test_counts_hourly")
)


def without_page(records: pa.Table) -> pa.Array:
    """A validator that reads the message itself: an impression must name its page."""
    pages = [json.loads(value).get("edata", {}).get("page") for value in records.column("value").to_pylist()]
    return pa.array([None if page else "impression without edata.page" for page in pages], pa.string())


NESTED = Feed(
    name="test-telemetry",
    topic="test-telemetry",
    fields=(
        Field("eid", Text()),
        Field("ets", Whole()),
        Field("mid", Text(), required=False),
        Field("channel", Text(), path=("context", "channel")),
        Field("producer", Text(), required=False, path=("context", "pdata", "id")),
    ),
    key=None,
    event_us=lambda records: pc.multiply(records.column("ets"), 1_000),
    event_id="mid",
    rules=(Rule("ets before 2000", under("ets", 946_684_800_000)),),
    live_query="totals",
    keeps_raw=True,
    kinds=Kinds("eid", {"IMPRESSION": without_page}),
    totals=Totals(
        measure=None,
        dimensions=(
            Dimension("eid", ("eid",)),
            Dimension("channel", ("channel",)),
            Dimension("producer", ("producer",)),
            Dimension("eid_producer", ("eid", "producer")),
        ),
        live=TotalsTable("test_events", FIVE_MINUTES),
        hourly=TotalsTable("test_events_hourly", HOUR),
    ),
)
EVENT_TABLES = "".join(
    f"create table {name} (type text, id text, timestamp timestamptz, value bigint, primary key (type, id, timestamp));"
    for name in ("test_events", "test_events_hourly")
)


@pytest.fixture
def declare(place: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Feed, str], None]]:
    """Make a feed known, with its topic and its tables."""

    def declared(feed: Feed, tables: str) -> None:
        monkeypatch.setitem(FEEDS, feed.name, feed)
        Kafka(place).create(place.topic_prefix + feed.topic)
        with engine.begin() as connection:
            connection.exec_driver_sql(tables)

    return declared  # type: ignore[return-value]


@pytest.fixture
def count(spark: SparkSession, place: Settings) -> Callable[[Feed], None]:
    """Run the live and the history query of a feed over what is in its topic."""
    return lambda feed: Streams(spark, place, [feed], once=True).run()


def test_money_is_exact_in_calendar_months_of_a_zone_and_by_two_fields_together(
    declare: Callable[[Feed, str], None],
    count: Callable[[Feed], None],
    put: Put,
    rows: Rows,
    spark: SparkSession,
    place: Settings,
) -> None:
    declare(MONEY, MONEY_TABLES)
    drawn = random.Random(SEED)
    expected: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    messages = []
    for n in range(600):
        customer, type_ = drawn.choice(["Ann/e", "100%", "Emma"]), drawn.choice(["CALL", "DATA"])
        amount = Decimal(drawn.randrange(-(10**9), 10**12)) / drawn.choice([1, 100, 10**6])
        at_s = END_OF_OCTOBER + drawn.choice([-7_200, 0, 1, 3_600, 7_200])
        text = f"{amount:f}"
        event_id = f',"event_id":"e{n}"' if n % 2 else ""
        # As a JSON number and as a JSON string.
        written = f'"{text}"' if n % 3 else text
        messages.append(
            f'{{"amount":{written},"customer":"{customer}","type":"{type_}","timestamp":{at_s}{event_id}}}'.encode()
        )
        month = "2026-10" if at_s <= END_OF_OCTOBER else "2026-11"
        both = f"{customer.replace('%', '%25').replace('/', '%2F')}/{type_}"
        for key in (("customer", customer), ("type", type_), ("customer_type", both)):
            expected[(*key, month)] += amount
    invalid = [
        (b'{"amount":"1e3","customer":"A","type":"CALL","timestamp":1763720000}', "amount is not a decimal number"),
        (b'{"amount":0.1234567,"customer":"A","type":"CALL","timestamp":1763720000}', "amount over 6 decimals"),
        (b'{"amount":"12.50","customer":"A","type":"TELEPHONING","timestamp":1763720000}', "type over 10 characters"),
    ]
    repeated = [message for message in messages[:100] if b"event_id" in message]
    put([*messages, *repeated, *(value for value, _ in invalid)], topic="test-money")
    count(MONEY)
    live = rows("select dimension, id, to_char(month at time zone 'Europe/Warsaw', 'YYYY-MM'), total from test_money")
    assert {tuple(key): total for *key, total in live} == expected
    account = rows("select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger")
    assert account == [(653, 600, 50, 3)]
    assert sorted(rows("select reason from invalid_events")) == sorted((reason,) for _, reason in invalid)

    job = HourlyJob(spark, place, MONEY, wait_s=60)
    dirty = "select count(*) from hours where dirty and feed = 'test-money'"
    assert rows(dirty) == [(4,)]
    assert job.run().hours == 4
    assert rows(dirty) == [(0,)]
    assert job.run([dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC)]).changed == 0
    batch = rows(
        "select dimension, id, to_char(timestamp at time zone 'Europe/Warsaw', 'YYYY-MM'), sum(total) "
        "from test_money_hourly group by 1, 2, 3"
    )
    assert {tuple(key): total for *key, total in batch} == expected

    MonthlyJob(spark, place, Month(2026, 10), dt.datetime(2026, 11, 2, tzinfo=dt.UTC), wait_s=60).run()
    by_utc = rows("select dimension, id, total from test_money_monthly")
    hourly = rows(
        "select dimension, id, sum(total) from test_money_hourly where timestamp < '2026-11-01T00:00Z' group by 1, 2"
    )
    assert sorted(by_utc) == sorted(hourly) != []


def test_records_are_counted_by_a_field_beside_another_feed_in_the_same_table(
    declare: Callable[[Feed, str], None],
    count: Callable[[Feed], None],
    put: Put,
    rows: Rows,
    spark: SparkSession,
    place: Settings,
) -> None:
    declare(COUNTS, COUNT_TABLES)
    at_s = int(dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC).timestamp())
    events = [("purchase", 5, None), ("purchase", 5, None), ("join", 5, "j"), ("join", 5, "j"), ("purchase", 301, "p")]
    far_ahead = int(dt.datetime.now(dt.UTC).timestamp()) + 8_000
    values = [
        json.dumps({"event_type": type_, "timestamp": at_s + offset} | ({"event_id": id_} if id_ else {})).encode()
        for type_, offset, id_ in events
    ]
    put([*values, json.dumps({"event_type": "join", "timestamp": far_ahead}).encode()], topic="test-games")
    count(COUNTS)
    of_feed = "where feed = 'test-games' order by 1, 2"
    assert rows(f"select id, timestamp, value from test_counts {of_feed}") == [
        ("join", dt.datetime.fromtimestamp(at_s, dt.UTC), 1),
        ("purchase", dt.datetime.fromtimestamp(at_s, dt.UTC), 2),
        ("purchase", dt.datetime.fromtimestamp(at_s + 300, dt.UTC), 1),
    ]
    assert rows("select reason from invalid_events") == [("timestamp over 7200 s in the future",)]
    HourlyJob(spark, place, COUNTS, wait_s=60).run()
    assert rows(f"select id, value from test_counts_hourly {of_feed}") == [("join", 1), ("purchase", 3)]
    untouched = [("another-feed", 17)]
    for table in ("test_counts", "test_counts_hourly"):
        assert rows(f"select feed, value from {table} where feed <> 'test-games'") == untouched


def test_duplicates_behind_the_horizon_are_removed_by_the_recompute(
    declare: Callable[[Feed, str], None],
    count: Callable[[Feed], None],
    put: Put,
    rows: Rows,
    spark: SparkSession,
    place: Settings,
) -> None:
    feed = replace(COUNTS, horizon_s=3_600)
    declare(feed, COUNT_TABLES)
    now_s = int(dt.datetime.now(dt.UTC).timestamp())
    values = [
        json.dumps({"event_type": type_, "timestamp": now_s - age_s, "event_id": "e"}).encode()
        for type_, age_s in (("old", 10_800), ("young", 0))
    ]
    of_feed = "where feed = 'test-games' order by id"
    # Nothing was counted before that could move the horizon past the old record.
    put([*values, *values], topic="test-games")
    count(feed)
    assert rows(f"select id, value from test_counts {of_feed}") == [("old", 1), ("young", 1)]
    put(values, topic="test-games")
    count(feed)
    assert rows(f"select id, value from test_counts {of_feed}") == [("old", 2), ("young", 1)]
    account = rows("select received, counted, duplicate, behind_horizon from ledger where partition = 0")
    assert account == [(6, 3, 3, 1)]
    assert rows("select first_offset, record_offset from duplicate_events order by 2") == [(0, 2), (1, 3), (1, 5)]
    assert HourlyJob(spark, place, feed, wait_s=60).run().hours == 2
    assert rows(f"select id, value from test_counts_hourly {of_feed}") == [("old", 1), ("young", 1)]


def test_nested_events_are_picked_by_path_validated_by_kind_counted_by_what_they_have_and_kept_as_received(
    declare: Callable[[Feed, str], None],
    count: Callable[[Feed], None],
    put: Put,
    rows: Rows,
    spark: SparkSession,
    place: Settings,
) -> None:
    declare(NESTED, EVENT_TABLES)
    at_ms = 1_763_720_000_123

    def event(eid: str, context: Any, **more: Any) -> bytes:
        return json.dumps(
            {"ver": "3.0", "eid": eid, "ets": at_ms, "context": context, **more}, ensure_ascii=False
        ).encode()

    good = [
        event("START", {"channel": "zażółć", "env": "x", "pdata": {"id": "app", "ver": "1"}}, mid="m1"),
        event("IMPRESSION", {"channel": "b", "pdata": None}, edata={"page": "home", "visits": [{"n": 1.5}]}, mid="m2"),
        event("HEARTBEAT", {"channel": "b"}, tags=["a", {"b": [None]}]),
        # Without an event id, as the one before, and with a producer.
        event("HEARTBEAT", {"channel": "b", "pdata": {"id": "app"}}),
    ]
    bad = [
        (event("IMPRESSION", {"channel": "b"}, edata={"page": ""}), "impression without edata.page"),
        (event("START", {"env": "x"}), "missing channel"),
        (event("START", None), "missing channel"),
        (event("START", "b"), "context is not an object"),
        (event("START", {"channel": "b", "pdata": {"id": 7}}), "producer is not a text"),
        (event("START", {"channel": ["b"]}), "channel is not a text"),
    ]
    put([*good, good[0], *(value for value, _ in bad)], topic="test-telemetry")
    count(NESTED)
    assert rows("select reason from invalid_events order by record_offset") == [(reason,) for _, reason in bad]
    expected = [
        ("channel", "b", 3), ("channel", "zażółć", 1), ("eid", "HEARTBEAT", 2), ("eid", "IMPRESSION", 1), ("eid", "START", 1),
        ("eid_producer", "HEARTBEAT/app", 1), ("eid_producer", "START/app", 1), ("producer", "app", 2),
    ]  # fmt: skip
    assert sorted(rows("select type, id, value from test_events")) == expected
    HourlyJob(spark, place, NESTED, wait_s=60).run()
    assert sorted(rows("select type, id, value from test_events_hourly")) == expected
    history = DeltaTable(f"{place.history}/test-telemetry").to_pyarrow_table().to_pylist()
    kept = sorted((row["offset"], row["raw"], row["channel"], row["producer"]) for row in history)
    assert [raw.encode() for _, raw, *_ in kept] == [*good, good[0]]
    assert [fields for *_, channel, producer in kept for fields in [(channel, producer)]] == [
        ("zażółć", "app"), ("b", None), ("b", None), ("b", "app"), ("zażółć", "app"),
    ]  # fmt: skip
