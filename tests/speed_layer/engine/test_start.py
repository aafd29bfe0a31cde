"""A start resumes where the sinks stand, and gives everything back when its resources are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from sqlalchemy import Engine

from batch_layer.history.coverage import wait_until_covered
from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.history.table import History, InvalidMessages
from bytemeter.kafka import Kafka
from bytemeter.plans.outbox import Outbox
from bytemeter.settings import Settings
from speed_layer.engine.running import RunningQuery
from speed_layer.engine.start import Starter
from speed_layer.live_queries import live_queries
from tests.messages import device

Rows = Callable[..., list[tuple[Any, ...]]]

WAIT_S = 60


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    with ExitStack() as resources:
        yield resources


@pytest.fixture
def outbox(place: Settings, engine: Engine) -> Outbox:
    return Outbox(Kafka(place), engine)


def send(place: Settings, *values: bytes) -> None:
    """Send messages to partition 0 of devices."""
    producer = Producer({"bootstrap.servers": place.kafka})
    for value in values:
        producer.produce(f"{place.topic_prefix}devices", value, partition=0)
    assert producer.flush(WAIT_S) == 0


def run_to_end(query: RunningQuery) -> None:
    assert query.query.awaitTermination(WAIT_S)
    query.commits.close()
    query.raise_error()


def test_live_queries_resume_at_the_ledger(place: Settings, spark: SparkSession, outbox: Outbox, rows: Rows) -> None:
    for values in ([device(bytes=1), device(bytes=2)], [], [device(bytes=4)]):
        send(place, *values)
        with ExitStack() as resources:
            (plan,) = live_queries([DEVICES])
            run_to_end(Starter(spark, place, outbox, once=True).start_live(plan, resources))
    assert rows("select partition, next_offset, received from ledger where received > 0") == [(0, 3, 3)]
    assert rows("select sum(value) from bytes where type like 'app%'") == [(7,)]


def test_history_queries_resume_after_the_last_commit(place: Settings, spark: SparkSession, outbox: Outbox) -> None:
    for values in ([device(), device()], [device()]):
        send(place, *values)
        with ExitStack() as resources:
            run_to_end(Starter(spark, place, outbox, once=True).start_history(DEVICES, resources))
    history = DeltaTable(f"{place.require_history()}/devices").to_pyarrow_table(columns=["offset"])
    assert sorted(history.column("offset").to_pylist()) == [0, 1, 2]


def test_a_history_from_before_invalid_messages_were_kept_gets_their_table(
    place: Settings, spark: SparkSession, outbox: Outbox, resources: ExitStack
) -> None:
    """What the history was past already is not read again."""
    send(place, b"garbage 0", b"garbage 1")
    history = History(spark, place.require_history(), DEVICES)
    history.create()
    history.append([], {0: 1}, after={})
    run_to_end(Starter(spark, place, outbox, once=True).start_history(DEVICES, resources))
    kept = InvalidMessages(spark, place.require_history(), DEVICES).read().collect()
    assert [(row.offset, bytes(row.value)) for row in kept] == [(1, b"garbage 1")]


def test_feeds_of_data_plans_share_one_query(
    place: Settings, spark: SparkSession, outbox: Outbox, resources: ExitStack
) -> None:
    starter = Starter(spark, place, outbox, once=True)
    queries = [starter.start_live(plan, resources) for plan in live_queries([DATA_RECORDS, DEVICES, AGREEMENTS])]
    assert {query.query.name for query in queries} == {"live-devices", "live-data-plans"}
    for query in queries:
        run_to_end(query)


def test_closing_the_resources_ends_the_queries_and_gives_the_leases_back(
    place: Settings, spark: SparkSession, outbox: Outbox, rows: Rows
) -> None:
    send(place, device())
    with ExitStack() as resources:
        starter, (plan,) = Starter(spark, place, outbox, once=False), live_queries([DEVICES])
        queries = [starter.start_live(plan, resources), starter.start_history(DEVICES, resources)]
        for query in queries:
            query.query.processAllAvailable()
        assert all(query.is_active() for query in queries)
    assert not any(query.is_active() for query in queries)
    assert rows("select sum(counted) from ledger") == [(1,)]
    assert rows("select distinct heard_at = '-infinity' from leases") == [(True,)]


def test_a_missing_topic_is_reported_with_the_remedy(
    place: Settings, spark: SparkSession, outbox: Outbox, resources: ExitStack
) -> None:
    starter = Starter(spark, place.model_copy(update={"topic_prefix": "elsewhere."}), outbox, once=True)
    expected = r"has no topic elsewhere\.devices; run `bytemeter migrate`"
    with pytest.raises(BytemeterError, match=expected):
        starter.start_live(live_queries([DEVICES])[0], resources)
    with pytest.raises(BytemeterError, match=expected):
        starter.start_history(DEVICES, resources)


def test_a_history_that_holds_more_than_the_topic_is_refused(
    place: Settings, spark: SparkSession, outbox: Outbox, resources: ExitStack
) -> None:
    history = History(spark, place.require_history(), DEVICES)
    history.create()
    history.append([], {0: 1_000}, after={})
    with pytest.raises(
        BytemeterError, match="but the history expects offset 1000 next; start over with an empty BYTEMETER_HISTORY"
    ):
        Starter(spark, place, outbox, once=True).start_history(DEVICES, resources)


def test_a_history_of_a_topic_that_was_created_again_is_refused(
    place: Settings, spark: SparkSession, outbox: Outbox, resources: ExitStack
) -> None:
    """The new topic is longer than the old one: by its offsets alone its beginning would be skipped without a word."""
    send(place, device(), device())
    history = History(spark, place.require_history(), DEVICES)
    history.create()
    history.append([], {0: 1}, after={}, topic_id="of the old topic")
    with pytest.raises(
        BytemeterError, match="devices was re-created: its id is .*, the history in .* has of the old t"
    ):
        Starter(spark, place, outbox, once=True).start_history(DEVICES, resources)


def test_a_history_names_the_topic_that_it_was_read_from(place: Settings, spark: SparkSession, outbox: Outbox) -> None:
    send(place, device())
    with ExitStack() as resources:
        run_to_end(Starter(spark, place, outbox, once=True).start_history(DEVICES, resources))
    topic = Kafka(place).describe(Kafka(place).topic_name("devices"))
    assert topic is not None
    history = History(spark, place.require_history(), DEVICES)
    assert history.topic_id() == topic.id
    with pytest.raises(BytemeterError, match="the history in .* has"):
        wait_until_covered(history, {0: 1}, wait_s=0, topic_ids=["of another ledger"])
