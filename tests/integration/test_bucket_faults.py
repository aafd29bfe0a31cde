"""Faults of a bucket: delayed or refused in one line; nothing is lost and nothing doubled."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import SparkSession

from batch_layer.hourly.store import Recomputed
from batch_layer.jobs import hourly_usage, monthly_usage
from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import DEVICES
from bytemeter.history.storage import filesystem_of
from bytemeter.history.table import History
from bytemeter.settings import Settings
from simulator.traffic import Sent
from speed_layer.jobs import stream_usage
from speed_layer.stream import Streams
from tests.buckets import BUCKET, Buckets
from tests.commands import jdbc_url, signal_handlers_restored
from tests.histories import delta_table, written
from tests.messages import device
from tests.proxy import Harm, Request

DEADLINE_S = 120

Rows = Callable[..., list[tuple[Any, ...]]]

pytestmark = BUCKET


@pytest.fixture
def history(spark: SparkSession, history_root: str) -> History:
    """An empty history of devices in a bucket."""
    history = History(spark, history_root, DEVICES)
    history.create()
    return history


def positions(place: Settings) -> list[tuple[int, int]]:
    """Of the records in the history of devices; none before its first start."""
    try:
        table = delta_table(f"{place.history}/devices").to_pyarrow_table(columns=["partition", "offset"])
    except TableNotFoundError:
        return []
    return sorted((row["partition"], row["offset"]) for row in table.to_pylist())


def require_each_once(place: Settings, rows: Rows, records: int) -> None:
    found = positions(place)
    assert len(found) == len(set(found)) == records
    assert rows("select sum(received)::bigint from ledger") == [(records,)]


def some(chance: random.Random, share: float, *harms: Harm) -> Callable[[Request], Harm | None]:
    """Do harm to a share of the requests, at most twice in a row to the same object."""
    lock, in_a_row = threading.Lock(), dict[str, int]()

    def judge(request: Request) -> Harm | None:
        with lock:
            if chance.random() > share or in_a_row.get(request.key, 0) == 2:
                in_a_row[request.key] = 0
                return None
            in_a_row[request.key] = in_a_row.get(request.key, 0) + 1
            return chance.choice(harms)

    return judge


def test_errors_of_the_server_and_resets_delay_and_lose_nothing(
    place: Settings,
    object_storage: Buckets,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
    rows: Rows,
    seed: int,
) -> None:
    total = simulate(300).valid_bytes
    harms = (Harm(503), Harm(429), Harm(reset=True), Harm(reset=True, late=True), Harm(503, late=True))
    with object_storage.proxy.judged(some(random.Random(seed), 0.08, *harms)) as harmed:
        stream(settings=place.model_copy(update={"max_records_per_batch": 150}))
        recompute()
    assert harmed
    require_each_once(place, rows, 300)
    assert rows("select sum(value) from bytes_hourly where type like 'app%'") == [(total,)]


@contextmanager
def running(streams: Streams) -> Iterator[Future[None]]:
    """The queries, going on until the block ends."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(streams.run)
        try:
            yield run
        finally:
            streams.stop.set()
        run.result()


def wait_until(reached: Callable[[], bool], run: Future[None]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert not run.done(), run.exception()
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)


def test_a_slow_bucket_delays_the_history_only(
    spark: SparkSession, place: Settings, object_storage: Buckets, simulate: Callable[..., Sent], rows: Rows
) -> None:
    """Its answers come once the live query has counted."""
    counted = threading.Event()
    with running(Streams(spark, place, [DEVICES])) as run:
        simulate(100)
        wait_until(lambda: len(positions(place)) == 100, run)
        slow = Harm(wait=counted)
        with object_storage.proxy.judged(lambda request: slow if request.writes else None) as harmed:
            simulate(100, seed=8)
            wait_until(lambda: bool(harmed), run)
            wait_until(lambda: rows("select sum(received)::bigint from ledger") == [(200,)], run)
            assert len(positions(place)) == 100
            counted.set()
        wait_until(lambda: len(positions(place)) == 200, run)
    require_each_once(place, rows, 200)


def test_a_right_that_is_taken_away_ends_the_queries_with_one_line(
    spark: SparkSession, place: Settings, object_storage: Buckets, simulate: Callable[..., Sent], rows: Rows
) -> None:
    streams = Streams(spark, place, [DEVICES])
    with ThreadPoolExecutor(1) as pool, ExitStack() as ending:
        run = pool.submit(streams.run)
        ending.callback(streams.stop.set)
        simulate(100)
        wait_until(lambda: rows("select count(*) from ledger") != [(0,)] and len(positions(place)) == 100, run)
        refused = Harm(403, "jobs does not have storage.objects.create access")
        with object_storage.proxy.judged(lambda request: refused if request.writes else None):
            simulate(100, seed=8)
            with pytest.raises(
                BytemeterError, match="^the query history-devices lacks a right to the bucket: "
            ) as told:
                run.result(DEADLINE_S)
    assert "storage.objects.create" in str(told.value)
    assert "\n" not in str(told.value)
    assert not isinstance(told.value, TransientError)
    Streams(spark, place, [DEVICES], once=True).run()
    require_each_once(place, rows, 200)


def test_a_commit_is_tried_again_beside_a_compaction_and_an_altered_table(
    history: History, object_storage: Buckets
) -> None:
    """Both come to be after the append has begun, and before it is there."""
    ends: dict[int, int] = {}
    for offset in range(3):
        history.append(written(history, device()), {0: offset + 1}, after=ends)
        ends = {0: offset + 1}
    table = f"delta.`{history.path}`"
    others = iter(
        [
            f"optimize {table}",
            f"alter table {table} set tblproperties ('delta.logRetentionDuration' = 'interval 9 days')",
        ]
    )
    files = written(history, device())

    def meanwhile(request: Request) -> Harm | None:
        if request.method == "POST" and request.key.endswith(".json") and (other := next(others, None)):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(history.session.sql, other).result()
        return None

    with object_storage.proxy.judged(meanwhile):
        history.append(files, {0: 4}, after=ends)
    assert next(others, None) is None
    assert history.end_offsets() == {0: 4}
    assert history.read().count() == 4


def test_a_commit_whose_answer_was_lost_is_known_as_its_own(history: History, object_storage: Buckets) -> None:
    """A client that sends it again is answered that the object exists."""
    files = written(history, device())
    exists = Harm(412, "At least one of the pre-conditions you specified did not hold.", late=True)
    lost = [exists]

    def lose(request: Request) -> Harm | None:
        return lost.pop() if request.method == "PUT" and request.key.endswith("01.json") and lost else None

    with object_storage.proxy.judged(lose) as harmed:
        history.append(files, {0: 1}, after={})
    assert len(harmed) == 1
    assert history.read().count() == 1
    with pytest.raises(BytemeterError, match="another process writes to"):
        history.append(files, {0: 1}, after={})


def test_a_file_that_was_not_committed_is_never_read(history: History, object_storage: Buckets) -> None:
    """As of a writer that died in between."""
    orphan = written(history, device())
    history.append(written(history, device(app="MAPS")), {0: 1}, after={})
    filesystem, path = filesystem_of(history.path)
    assert filesystem.get_file_info(f"{path}/{orphan[0].path}").size == orphan[0].size
    assert [row.app for row in history.read().collect()] == ["MAPS"]
    assert len(delta_table(history.path).file_uris()) == 1


def test_an_object_that_vanished_is_named(
    place: Settings,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    simulate(100)
    stream()
    # Of the first day: each day that is recomputed is a transaction.
    gone = min(delta_table(f"{place.history}/devices").file_uris()).removeprefix("gs://")
    filesystem_of(place.require_history())[0].delete_file(gone)
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    with signal_handlers_restored():
        assert hourly_usage.main(["--jdbc-url", jdbc_url(place), "--history", str(place.history), "--dirty"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bytemeter: ")]
    assert f"the file {gone.partition('/devices/')[2]} of the history in {place.history}/devices is gone" in line
    assert rows("select * from bytes_hourly") == []


@pytest.mark.parametrize("fault", ["bucket", "right"])
def test_the_mains_end_with_one_line_before_anything_is_counted(
    place: Settings,
    object_storage: Buckets,
    simulate: Callable[..., Sent],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    simulate(10)
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    root = "gs://no-such-bucket/usage" if fault == "bucket" else place.require_history()
    target = ["--jdbc-url", jdbc_url(place), "--history", root]
    kafka = ["--kafka", str(place.kafka)]
    month = f"{dt.datetime.now(dt.UTC):%Y-%m}"
    capsys.readouterr()
    with object_storage.proxy.judged(lambda _: Harm(403) if fault == "right" else None), signal_handlers_restored():
        assert stream_usage.main(["devices", "--once", *kafka, *target]) == 1
        assert hourly_usage.main(["--dirty", *target]) == 1
        assert monthly_usage.main(["--month", month, *kafka, *target]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("20")]
    told = "lacks a bucket" if fault == "bucket" else "lacks a right"
    assert [line.startswith(f"bytemeter: the history in {root} {told}") for line in lines] == [True] * 3
    assert rows("select * from ledger") == []
