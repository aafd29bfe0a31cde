"""Events are written once, and wait for Kafka."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from bytemeter.errors import TransientError
from bytemeter.kafka import Kafka
from bytemeter.plans.events import CLOSED, EXCEEDED, ThresholdEvent
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
        event(ordinal=1),
    ]  # fmt: skip
    assert len({event().event_id, *(other.event_id for other in others)}) == 7


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
    outbox = Outbox(Kafka(place), engine, "live", patience_s=2)
    with engine.begin() as connection:
        events = write(connection, [event(), event("b")], source="live")
    broker, _ = EmbeddedStack(Home(servers.home)).servers
    broker.stop()
    with pytest.raises(TransientError, match="did not take 2 threshold events; they wait in the outbox; is it up"):
        outbox.publish(events)
    assert rows("select count(published_at) from threshold_events") == [(0,)]
    broker.start()
    Outbox(Kafka(place), engine, "batch").publish_waiting()  # not its own
    outbox.patience_s = 60
    outbox.publish_waiting()
    assert sorted(message.value for message in oracle.received(place, "threshold-events")) == sorted(
        one.payload for one in events
    )
    assert rows("select count(published_at) from threshold_events") == [(2,)]


def test_an_event_whose_mark_was_lost_is_sent_again_byte_for_byte(place: Settings, engine: Engine, rows: Rows) -> None:
    with engine.begin() as connection:
        events = write(connection, [event()], source="live")
    Outbox(Kafka(place), engine, "live").publish(events)
    rows("update threshold_events set published_at = null returning 1")
    Outbox(Kafka(place), engine, "live").publish_waiting()
    first, again = oracle.received(place, "threshold-events")
    assert (first.key, first.value) == (again.key, again.value) == (b"a", event().payload)
