"""Progress is handled in small transactions, so that micro-batches are committed in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.kafka import Kafka
from bytemeter.plans.agreements import Agreement, take
from bytemeter.plans.outbox import Outbox
from bytemeter.plans.watermark import PartitionProgress
from bytemeter.settings import Settings
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_store import live_store
from speed_layer.engine.progress import ProgressWatch
from speed_layer.plans.query import DataPlanQuery

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

ALL_PERIODS_ENDED = """
with ended as (
    update data_plan_usage set
        period_start = '2020-01-01T00:00Z', period_end = '2020-02-01T00:00Z', year = 2020, month = 1,
        latest_recorded_at = '2020-01-05T00:00Z'
)
insert into ledger (feed, partition, topic_id, next_offset, latest_event_time)
values ('data-records', 0, '', 0, '2020-02-01T00:00Z')
returning 1
"""


def test_periods_close_a_few_at_a_time_if_due_and_all_at_the_end(
    place: Settings, engine: Engine, rows: Callable[..., list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speed_layer.plans.query._CLOSED_AT_ONCE", 2)
    with engine.begin() as connection:
        take(connection, [Agreement(f"a{n}", f"48{n}", START, START, "UTC", 1_000) for n in range(7)])
    rows(ALL_PERIODS_ENDED)
    kafka = Kafka(place)
    described = {feed.name: kafka.describe(kafka.topic_name(feed.topic)) for feed in (AGREEMENTS, DATA_RECORDS)}
    topics = {name: topic for name, topic in described.items() if topic}
    query = DataPlanQuery(Outbox(kafka, engine), dt.timedelta(0), None)
    with live_store(engine, query, topics, IdlePartitions(1_000)) as store:
        progress = ProgressWatch(kafka, store, every_s=0)
        closed = []
        for check in (progress.check_if_due, progress.check_if_due, progress.check_until_done):
            check()
            closed += rows("select count(*) from data_plan_usage where status = 'closed'")
    assert closed == [(2,), (4,), (7,)]
    assert rows("select count(*), count(published_at) from threshold_events") == [(7, 7)]


@pytest.mark.parametrize(("clock_h", "closed"), [(-1, 0), (0, 7), (None, 7)])
def test_records_ahead_of_the_clock_close_no_period_before_its_time(
    place: Settings, engine: Engine, rows: Callable[..., list[tuple[Any, ...]]], clock_h: int | None, closed: int
) -> None:
    """The event time has passed the end of January; without a clock, in a run over old data, that is enough."""
    with engine.begin() as connection:
        take(connection, [Agreement(f"a{n}", f"48{n}", START, START, "UTC", 1_000) for n in range(7)])
    rows(ALL_PERIODS_ENDED)
    end = dt.datetime(2020, 2, 1, tzinfo=dt.UTC)
    clock = None if clock_h is None else lambda: end + dt.timedelta(hours=clock_h)
    query = DataPlanQuery(Outbox(Kafka(place), engine), dt.timedelta(0), clock)
    progress = {DATA_RECORDS.name: {0: PartitionProgress(idle=False, latest=end + dt.timedelta(hours=23))}}
    with engine.begin() as connection:
        query.on_progress(connection, progress)
    assert rows("select count(*) from threshold_events where type = 'BILLING_PERIOD_CLOSED'") == [(closed,)]
