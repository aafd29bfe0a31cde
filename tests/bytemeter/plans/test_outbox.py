"""Events are written once, and wait for Kafka."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from bytemeter.errors import TransientError
from bytemeter.kafka import Kafka
from bytemeter.plans.events import AMENDED, CLOSED, CORRECTED, EXCEEDED, ThresholdEvent
from bytemeter.plans.outbox import Outbox, write
from bytemeter.settings import Settings
from embedded.home import Home
from embedded.stack import EmbeddedStack
from tests.integration import oracle

START = dt.datetime(2019, 12, 31, 23, tzinfo=dt.UTC)
AT = dt.datetime(2020, 1, 10, 23, tzinfo=dt.UTC)

Rows = Callable[..., list[tuple[Any, ...]]]


def event(agreement_id: str = "a", type_: str = EXCEEDED, **changes: Any) -> ThresholdEvent:
    fields = {
        "agreement_id": agreement_id, "period_start": START, "year": 2020, "month": 1, "zone": "Europe/Warsaw",
        "limit": 1000, "type": type_, "percent": 100, "threshold_bytes": 1000, "total_bytes": 1100,
        "latest_recorded_at": AT, "latest_record": "i-1",
    }  # fmt: skip
    return ThresholdEvent(**{**fields, **changes})


def test_the_id_depends_on_what_happened_and_not_on_when_or_by_which_record() -> None:
    assert event().event_id == event(total_bytes=2000, latest_record="i-9", latest_recorded_at=START).event_id
    others = [
        event("b"), event(period_start=AT), event(type_=CLOSED), event(percent=50), event(threshold_bytes=900),
    ]  # fmt: skip
    assert len({event().event_id, *(other.event_id for other in others)}) == 6


@pytest.mark.parametrize("type_", [AMENDED, CORRECTED])
def test_the_id_of_an_amendment_or_correction_is_made_of_all_that_it_says(type_: str) -> None:
    assert event(type_=type_, ordinal=1).event_id == event(type_=type_, ordinal=2).event_id
    others = [
        event(type_=type_, **change)
        for change in (
            {}, {"total_bytes": 1101}, {"latest_record": "i-2"}, {"latest_recorded_at": START}, {"limit": 2},
            {"zone": "UTC"}, {"repetition": 1}, {"latest_recorded_at": None, "latest_record": None},
        )
    ]  # fmt: skip
    assert len({other.event_id for other in others}) == len(others)


def test_two_processes_publish_in_the_order_in_which_events_were_written(
    place: Settings, engine: Engine, rows: Rows
) -> None:
    def emit_and_publish(source: str) -> None:
        outbox = Outbox(Kafka(place), engine)
        for n in range(15):
            with engine.begin() as connection:
                connection.exec_driver_sql("lock table ledger in exclusive mode")  # as whoever counts
                write(connection, [event(threshold_bytes=n, percent=k, type_=source) for k in range(3)], source=source)
            outbox.publish()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(emit_and_publish, ["live", "batch"]))
    sent = [message.value for message in oracle.received(place, "threshold-events")]
    assert sent == [bytes(payload) for (payload,) in rows("select payload from threshold_events order by sequence")]
    assert len(sent) == 90


def test_the_message_has_the_instant_in_the_time_zone_of_the_agreement() -> None:
    assert json.loads(event().payload) == {
        "eventId": event().event_id,
        "agreementId": "a",
        "year": 2020,
        "month": 1,
        "latestRecordedAt": "2020-01-11T00:00:00+01:00",
        "latestInternalRecordId": "i-1",
        "totalRecordedBytes": 1100,
        "billingPeriodTimeZone": "Europe/Warsaw",
        "maxBytesInBillingPeriod": 1000,
        "thresholdPercent": 100,
        "thresholdBytes": 1000,
        "type": "DATA_PLAN_EXCEEDED",
    }
    assert json.loads(event(latest_recorded_at=None).payload)["latestRecordedAt"] is None


def test_many_events_are_written_a_few_at_a_time_in_their_order(
    engine: Engine, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytemeter.plans.outbox._AT_ONCE", 2)
    many = [event(id_) for id_ in ("3", "1", "2", "1", "0")]
    with engine.begin() as connection:
        assert write(connection, many, source="live") == [many[0], many[1], many[2], many[4]]
    assert rows("select agreement_id from threshold_events order by sequence") == [("3",), ("1",), ("2",), ("0",)]


def test_an_event_is_written_once(engine: Engine) -> None:
    with engine.begin() as connection:
        assert write(connection, [event(), event("b")], source="live") == [event(), event("b")]
    with engine.begin() as connection:
        assert write(connection, [event(total_bytes=5), event("c")], source="batch") == [event("c")]


def test_while_kafka_is_away_events_wait_and_are_sent_once(
    place: Settings, servers: Settings, engine: Engine, rows: Rows
) -> None:
    outbox = Outbox(Kafka(place), engine, patience_s=2)
    with engine.begin() as connection:
        events = write(connection, [event(), event("b")], source="live")
    broker, _ = EmbeddedStack(Home(servers.home)).servers
    broker.stop()
    with pytest.raises(TransientError, match="did not take 2 threshold events; they wait in the outbox; is it up"):
        outbox.publish()
    assert rows("select count(published_at) from threshold_events") == [(0,)]
    broker.start()
    other = Outbox(Kafka(place), engine, patience_s=0.5)
    with pytest.raises(TransientError, match="events wait in the outbox; does another process publish"):
        other.publish()  # the first one's producer still has them
    outbox.patience_s = 60
    outbox.publish()
    other.publish()
    assert sorted(message.value for message in oracle.received(place, "threshold-events")) == sorted(
        one.payload for one in events
    )
    assert rows("select count(published_at) from threshold_events") == [(2,)]


def test_an_event_whose_mark_was_lost_is_sent_again_byte_for_byte(place: Settings, engine: Engine, rows: Rows) -> None:
    with engine.begin() as connection:
        write(connection, [event()], source="live")
    Outbox(Kafka(place), engine).publish()
    rows("update threshold_events set published_at = null returning 1")
    Outbox(Kafka(place), engine).publish()
    first, again = oracle.received(place, "threshold-events")
    assert (first.key, first.value) == (again.key, again.value) == (b"a", event().payload)
