"""Records/s of each streaming job over a whole topic, and their ratios to the bare read of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import psutil
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sqlalchemy import text

from benchmarks.topics import Topics
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Feed
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.source import stream as kafka_source
from speed_layer.stream import Streams

# Agreements, their segments and billing periods stay, as in the middle of a month.
_WRITTEN = (
    "bytes, hours, seen_ids, seen_segments, duplicate_events, invalid_events, threshold_events, unmatched_records"
)
_USE_NOTHING = """
update data_plan_usage as u set
    total_recorded_bytes = 0, latest_recorded_at = null, latest_internal_record_id = null, status = 'open',
    next_threshold_bytes = next_threshold(a.thresholds, a.max_bytes_in_billing_period, null)
from agreements as a
where a.id = u.agreement_id
"""


def compare(
    session: SparkSession, topics: Topics, rounds: int, only: list[str], peers: Mapping[str, Callable[[], float]]
) -> None:
    """Time the jobs in turn, round by round, and print their rates and ratios.

    Args:
        only: parts of the names of the jobs to run.
        peers: another system's jobs by the names of ours; each tells its own seconds.
    """
    plain = topics.devices("plain.", event_ids=False)
    identified = topics.devices("ids.", event_ids=True)
    plans = topics.plans("plans.")
    stream(session, plans, [AGREEMENTS, DATA_RECORDS], most_records=topics.users)
    every: dict[str, Callable[[], float | None]] = {
        "bare read of devices": lambda: bare_read(session, plain, DEVICES),
        "bare read of data-records": lambda: bare_read(session, plans, DATA_RECORDS),
        "live totals": lambda: stream(session, plain, [DEVICES]),
        "live totals, ids checked": lambda: stream(session, identified, [DEVICES]),
        "data plans": lambda: stream(session, plans, [AGREEMENTS, DATA_RECORDS]),
        "history of devices": lambda: keep(session, plain, DEVICES),
        "history of data-records": lambda: keep(session, plans, DATA_RECORDS),
        "parquet sink, for devices' history": lambda: parquet_sink(session, plain, DEVICES),
        "parquet sink, for data-records'": lambda: parquet_sink(session, plans, DATA_RECORDS),
        **{f"Flink SQL, {name}": job for name, job in peers.items()},
    }
    jobs = {name: job for name, job in every.items() if "bare" in name or any(part in name for part in only)}
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    peak = 0.0
    for _ in range(rounds):
        for name, job in jobs.items():
            clear(plain, identified, plans)
            began = time.perf_counter()
            took = job() or time.perf_counter() - began
            rates[name].append(topics.records / took)
            peak = max(peak, java_memory_gib())
    print(f"\n{topics.records:,} records, {topics.users:,} users and agreements, {rounds} rounds")
    print(f"{'job':<36}{'cold':>12}{'warm best':>12}{'median':>12}{'of the bare read, warm':>24}")
    for name, (cold, *warm) in rates.items():
        bare = rates["bare read of data-records" if "data" in name else "bare read of devices"]
        ratio = median(warm or [cold]) / median(bare[1:] or bare)
        best, middle = max(warm or [cold]), median(warm or [cold])
        print(f"{name:<36}{cold:>10,.0f}/s{best:>10,.0f}/s{middle:>10,.0f}/s{ratio:>24.2f}")
    for name in (name for name in peers if name in rates):
        ours, theirs = (median(rates[job][1:] or rates[job]) for job in (name, f"Flink SQL, {name}"))
        print(f"{name}: {ours / theirs:.2f} of Flink SQL's rate, warm medians")
    print(f"driver's resident memory, at most {peak:.1f} GiB", flush=True)


def bare_read(session: SparkSession, settings: Settings, feed: Feed) -> None:
    """What Spark does at least: read the topic's messages and parse their JSON, to nowhere."""
    with tempfile.TemporaryDirectory() as scratch:
        writer = _parsed(session, settings, feed).writeStream.format("noop").option("checkpointLocation", scratch)
        writer.trigger(availableNow=True).start().awaitTermination()


def parquet_sink(session: SparkSession, settings: Settings, feed: Feed) -> None:
    """The same into parquet files by Spark's own sink: no judging, no partitions by time, no Delta."""
    with tempfile.TemporaryDirectory() as scratch:
        writer = _parsed(session, settings, feed).writeStream.format("parquet").option("path", f"{scratch}/files")
        writer = writer.option("checkpointLocation", f"{scratch}/checkpoint")
        writer.trigger(availableNow=True).start().awaitTermination()


def _parsed(session: SparkSession, settings: Settings, feed: Feed) -> DataFrame:
    kafka = Kafka(settings)
    topic = kafka.describe(kafka.topic_name(feed.topic))
    assert topic is not None  # noqa: S101
    most = settings.max_records_per_batch
    messages = kafka_source(session, kafka, topic.name, dict(topic.earliest), most_records=most)
    return messages.select(F.from_json(F.col("value").cast("string"), feed.schema).alias("e")).select("e.*")


def stream(session: SparkSession, settings: Settings, feeds: list[Feed], *, most_records: int | None = None) -> None:
    """The live query over the whole topic."""
    if most_records:
        settings = settings.model_copy(update={"max_records_per_batch": most_records})
    Streams(session, settings, feeds, once=True, history=False).run()


def keep(session: SparkSession, settings: Settings, feed: Feed) -> None:
    """The history query over the whole topic."""
    Streams(session, settings, [feed], once=True, live=False).run()


def clear(*places: Settings) -> None:
    """Forget what an earlier job has counted and kept."""
    for settings in places:
        shutil.rmtree(Path(settings.require_history()), ignore_errors=True)
    engine = database(places[0].require_database_url())
    with engine.begin() as connection:
        connection.execute(text(f"truncate {_WRITTEN}"))
        connection.execute(text(_USE_NOTHING))
        connection.execute(text("delete from ledger where feed <> :feed"), {"feed": AGREEMENTS.name})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum data_plan_usage"))


def java_memory_gib() -> float:
    """Resident memory of Spark's JVM, which this process started."""
    children = psutil.Process().children()
    return max((c.memory_info().rss for c in children if c.name() == "java"), default=0) / 2**30
