"""The live store counts each micro-batch once: it moves the ledger with the totals, or rolls back both."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import DEVICES, Feed
from bytemeter.kafka import Kafka, Topic
from bytemeter.leases.lease import Terms
from bytemeter.plans.watermark import PartitionProgress
from bytemeter.settings import Settings
from speed_layer.engine.idle import IdlePartitions
from speed_layer.engine.live_query import Account, Count
from speed_layer.engine.live_store import LiveStore, MicroBatch, live_store
from speed_layer.executor.blocks import Parts, ToParts

Rows = Callable[..., list[tuple[Any, ...]]]
Open = Callable[..., AbstractContextManager[LiveStore]]

# A process on another machine: nobody here knows whether it lives.
ELSEWHERE = "elsewhere 1 1 1"
LATEST_S = 1_763_720_000
LATEST = dt.datetime.fromtimestamp(LATEST_S, dt.UTC)
LEDGER = """
select partition, next_offset, received, counted, duplicate, invalid, unmatched, latest_event_time
from ledger order by partition
"""
COUNTED = "select name from counted_batches order by name"


@dataclasses.dataclass
class BatchNames:
    """A live query that counts a micro-batch by adding its name to the table ``counted_batches``."""

    name: str = "devices"
    feeds: tuple[Feed, ...] = (DEVICES,)
    loads: int = 0
    ends: list[str] = dataclasses.field(default_factory=list)
    progress: list[Mapping[str, Mapping[int, PartitionProgress]]] = dataclasses.field(default_factory=list)
    progress_error: Exception | None = None

    def to_parts(self, feed: Feed) -> ToParts:
        raise NotImplementedError

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        raise NotImplementedError

    def open(self, connection: Connection) -> None:
        connection.execute(text("create table if not exists counted_batches (name text)"))

    def load(self, connection: Connection) -> None:  # noqa: ARG002
        self.loads += 1

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:  # noqa: ARG002
        if self.progress_error:
            raise self.progress_error
        self.progress.append(progress)
        return True

    def rolled_back(self) -> None:
        self.ends.append("rolled back")

    def committed(self) -> None:
        self.ends.append("committed")


def counting(name: str, *accounts: Account, error: Exception | None = None) -> Count:
    """Adds a name, then fails with the error if there is one."""

    def count(connection: Connection) -> list[Account]:
        connection.execute(text("insert into counted_batches (name) values (:name)"), {"name": name})
        if error:
            raise error
        return list(accounts)

    return count


def micro_batch(count: Count, start: dict[int, int], end: dict[int, int]) -> MicroBatch:
    return MicroBatch(count, {"devices": start}, {"devices": end})


@pytest.fixture
def topic(place: Settings) -> Topic:
    """The topic of devices, empty."""
    kafka = Kafka(place)
    topic = kafka.describe(kafka.topic_name(DEVICES.topic))
    assert topic is not None
    return topic


@pytest.fixture
def query() -> BatchNames:
    return BatchNames()


@pytest.fixture
def opened(engine: Engine, topic: Topic, query: BatchNames) -> Open:
    """Open the store of the query, as a process does at its start."""

    def store(
        topic: Topic = topic, query: BatchNames = query, terms: Terms | None = None
    ) -> AbstractContextManager[LiveStore]:
        return live_store(engine, query, {feed.name: topic for feed in query.feeds}, IdlePartitions(0), terms)

    return store


def test_a_micro_batch_moves_the_ledger_and_adds_its_accounts(opened: Open, rows: Rows) -> None:
    first = Account("devices", 0, received=5, duplicate=1, invalid=2, latest_s=LATEST_S)
    second = Account("devices", 0, received=3, unmatched=2, latest_s=LATEST_S - 60)
    with opened() as store:
        store.commit(micro_batch(counting("first", first), {}, {0: 5, 1: 0}))
        assert rows(LEDGER) == [(0, 5, 5, 2, 1, 2, 0, LATEST), (1, 0, 0, 0, 0, 0, 0, None)]
        store.commit(micro_batch(counting("second", second), {0: 5, 1: 0}, {0: 8, 1: 0}))
        assert store.next_offsets() == {"devices": {0: 8, 1: 0}}
    assert rows(LEDGER) == [(0, 8, 8, 3, 1, 2, 2, LATEST), (1, 0, 0, 0, 0, 0, 0, None)]
    assert rows(COUNTED) == [("first",), ("second",)]


def test_records_that_waited_are_counted_later(opened: Open, rows: Rows) -> None:
    with opened() as store:
        store.commit(micro_batch(counting("waits", Account("devices", 0, received=4, unmatched=4)), {}, {0: 4}))
        store.commit(micro_batch(counting("counts", Account("devices", 0, unmatched=-3)), {0: 4}, {0: 4}))
    assert rows("select received, counted, unmatched from ledger") == [(4, 3, 1)]


@pytest.mark.parametrize("start", [{0: 0}, {0: 4}, {0: 6}, {}])
def test_a_micro_batch_that_does_not_start_at_the_ledger_is_refused(
    opened: Open, rows: Rows, query: BatchNames, start: dict[int, int]
) -> None:
    with opened() as store:
        store.commit(micro_batch(counting("first"), {}, {0: 5}))
        with pytest.raises(BytemeterError) as caught:
            store.commit(micro_batch(counting("second"), start, {0: 9}))
    assert str(caught.value) == (
        f"the ledger of devices stands at {{0: 5}}, this query read from {start}: another process has counted the feed "
        "in between; let only one process count it, and restart this one if it is the one to keep"
    )
    assert rows("select next_offset from ledger") == [(5,)]
    assert rows(COUNTED) == [("first",)]
    assert query.ends == ["committed", "rolled back"]


def test_an_error_while_counting_rolls_back_all_and_the_micro_batch_can_be_counted_again(
    opened: Open, rows: Rows, query: BatchNames
) -> None:
    with opened() as store:
        with pytest.raises(ZeroDivisionError):
            store.commit(micro_batch(counting("fails", error=ZeroDivisionError()), {}, {0: 5}))
        assert (rows(LEDGER), rows(COUNTED), query.ends) == ([], [], ["rolled back"])
        store.commit(micro_batch(counting("succeeds"), {}, {0: 5}))
    assert rows("select next_offset from ledger") == [(5,)]
    assert rows(COUNTED) == [("succeeds",)]


def test_an_error_after_counting_rolls_back_all(opened: Open, rows: Rows, query: BatchNames) -> None:
    query.progress_error = ZeroDivisionError()
    with opened() as store, pytest.raises(ZeroDivisionError):
        store.commit(micro_batch(counting("counted"), {}, {0: 5}))
    assert (rows(LEDGER), rows(COUNTED), query.ends) == ([], [], ["rolled back"])


def test_a_connection_that_breaks_is_a_transient_error_and_nothing_is_counted(opened: Open, rows: Rows) -> None:
    with opened() as store:
        store.load()
        with store.connection.begin():
            ((server_process,),) = store.connection.execute(text("select pg_backend_pid()")).all()
        rows("select pg_terminate_backend(:pid, 10000)", pid=server_process)
        with pytest.raises(TransientError, match="PostgreSQL at .* cannot be reached") as caught:
            store.commit(micro_batch(counting("lost"), {}, {0: 5}))
    assert "\n" not in str(caught.value)
    assert (rows(LEDGER), rows(COUNTED)) == ([], [])


def test_state_is_loaded_once(opened: Open, query: BatchNames) -> None:
    with opened() as store:
        store.load()
        store.commit(micro_batch(counting("first"), {}, {0: 1}))
        store.commit(micro_batch(counting("second"), {0: 1}, {0: 2}))
    assert query.loads == 1


def test_a_second_process_is_refused_while_the_first_is_heard(opened: Open) -> None:
    with opened(terms=Terms(silent_s=1)):
        with pytest.raises(BytemeterError, match="^another process counts the feed devices "):
            with opened(terms=Terms(ELSEWHERE)):
                pass


def test_an_overtaken_process_counts_nothing_more(opened: Open, rows: Rows) -> None:
    with opened(terms=Terms(ELSEWHERE, silent_s=3600)) as overtaken:
        overtaken.load()
        rows("update leases set heard_at = now() - interval '2 hours' returning 1")
        with opened() as successor:
            with pytest.raises((BytemeterError, TransientError)):
                overtaken.commit(micro_batch(counting("overtaken"), {}, {0: 5}))
            successor.commit(micro_batch(counting("successor"), {}, {0: 5}))
    assert rows(COUNTED) == [("successor",)]


def test_a_transaction_whose_lease_is_another_ones_counts_nothing_although_its_session_lives(
    opened: Open, rows: Rows
) -> None:
    with opened() as store:
        store.load()
        rows("update leases set epoch = epoch + 1, owner = 'another' returning 1")
        with pytest.raises(BytemeterError, match="another"):
            store.commit(micro_batch(counting("overtaken"), {}, {0: 5}))
    assert rows(COUNTED) == []


def test_a_partition_that_the_topic_did_not_have_at_the_start_is_leased_with_its_first_micro_batch(
    opened: Open, rows: Rows
) -> None:
    with opened() as store:
        store.commit(micro_batch(counting("first"), {}, {0: 1, 7: 3}))
        assert rows("select epoch from leases where partition = 7") == [(1,)]
    assert rows("select distinct heard_at = '-infinity' from leases") == [(True,)]


def test_a_start_resumes_at_the_ledger_and_reads_new_partitions_from_their_beginning(
    opened: Open, topic: Topic
) -> None:
    longer = dataclasses.replace(topic, earliest={0: 0, 1: 2, 2: 7}, latest={0: 9, 1: 9, 2: 9})
    with opened() as store:
        store.commit(micro_batch(counting("before"), {}, {0: 5, 1: 3}))
    with opened(longer) as store:
        assert store.start_offsets() == {"devices": {0: 5, 1: 3, 2: 7}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "other"}, "topic {name} was re-created: its id is other, the ledger has {id}; {start_over}"),
        (
            {"latest": {0: 4}},
            "topic {name} is shorter than before: partition 0 ends at offset 4, but the ledger expects offset 5 next; "
            "{start_over}",
        ),
        (
            {"earliest": {0: 6}, "latest": {0: 9}},
            "topic {name} has deleted messages that were not read yet: partition 0 begins at offset 6, but the ledger "
            "expects offset 5 next; lengthen its retention.ms, and {start_over}",
        ),
    ],
)
def test_a_topic_that_does_not_continue_what_was_counted_is_refused(
    opened: Open, topic: Topic, change: dict[str, Any], message: str
) -> None:
    start_over = "start over with an empty BYTEMETER_DATABASE_URL and BYTEMETER_HISTORY, or restore the topic"
    with opened() as store:
        store.commit(micro_batch(counting("before"), {}, {0: 5}))
    changed = dataclasses.replace(topic, **{"latest": {0: 5}, **change})
    with opened(changed) as store, pytest.raises(BytemeterError) as caught:
        store.start_offsets()
    assert str(caught.value) == message.format(name=topic.name, id=topic.id, start_over=start_over)


def test_progress_names_idle_partitions_and_latest_event_times(opened: Open, query: BatchNames) -> None:
    with opened() as store:
        batch = counting("first", Account("devices", 0, received=5, latest_s=LATEST_S))
        store.commit(micro_batch(batch, {}, {0: 5, 1: 0}))
        store.idle_partitions.observe("devices", store.next_offsets()["devices"], {0: 9, 1: 0})
        assert store.report_progress()
    waiting, idle = PartitionProgress(False, LATEST), PartitionProgress(True, None)
    assert query.progress[-1] == {"devices": {0: waiting, 1: idle}}


def test_only_partitions_with_new_messages_become_active(opened: Open, query: BatchNames) -> None:
    with opened() as store:
        store.commit(micro_batch(counting("first"), {}, {0: 5, 1: 5}))
        store.idle_partitions.observe("devices", {0: 5, 1: 5}, {0: 5, 1: 5})
        store.commit(micro_batch(counting("second"), {0: 5, 1: 5}, {0: 6, 1: 5}))
    assert {partition: progress.idle for partition, progress in query.progress[-1]["devices"].items()} == {
        0: False,
        1: True,
    }


def test_the_topics_ends_are_stored(opened: Open, rows: Rows) -> None:
    with opened() as store:
        store.record_topic_ends({"devices": {0: 5, 1: 6}})
        store.record_topic_ends({"devices": {0: 7}})
    assert rows("select feed, partition, end_offset from topic_ends order by partition") == [
        ("devices", 0, 7),
        ("devices", 1, 6),
    ]


def test_a_missing_table_is_reported_with_the_remedy(opened: Open) -> None:
    with opened() as store:
        with store.connection.begin():
            store.connection.execute(text("drop table ledger cascade"))
        with pytest.raises(BytemeterError, match="a table is missing: .*ledger.*; run `bytemeter migrate`"):
            store.start_offsets()
