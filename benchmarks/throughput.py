"""Records/s of each streaming job over a whole topic, and their ratios to the bare read of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
Jobs = dict[str, Callable[[], float | None]]

_USE_NOTHING = """
update data_plan_usage as u set
    total_recorded_bytes = 0, latest_recorded_at = null, latest_internal_record_id = null, status = 'open',
    next_threshold_bytes = next_threshold(a.thresholds, a.max_bytes_in_billing_period, null)
from agreements as a
where a.id = u.agreement_id
"""


@dataclass
class Throughput:
    """Times jobs over the same topics, in turn, round by round; the first round is cold.

    Each system has the machine to itself, with the broker and PostgreSQL: a peer runs after ours, not between.

    Attributes:
        only: parts of the names of the jobs to run. Bare reads run beside any, without one nothing is read or filled.
    """

    session: SparkSession
    topics: Topics
    rounds: int
    only: list[str]
    _rates: dict[str, list[float]] = field(default_factory=dict)
    _peers: list[tuple[str, str]] = field(default_factory=list)
    _java_gib: float = 0.0

    def __post_init__(self) -> None:
        self._plain, self._identified, self._plans = self._places = [
            self.topics.place(prefix) for prefix in ("plain.", "ids.", "plans.")
        ]

    def measure(self, *, peer: bool) -> None:
        """Run our jobs.

        Args:
            peer: whether another system's jobs are to follow; then bare reads run even if none of ours is asked for.
        """
        session, plain, identified, plans = self.session, self._plain, self._identified, self._plans
        bare: Jobs = {
            "bare read of devices": lambda: bare_read(session, plain, DEVICES),
            "bare read of data-records": lambda: bare_read(session, plans, DATA_RECORDS),
        }
        ours: Jobs = {
            "live totals": lambda: stream(session, plain, [DEVICES]),
            "live totals, ids checked": lambda: stream(session, identified, [DEVICES]),
            "data plans": lambda: stream(session, plans, [AGREEMENTS, DATA_RECORDS]),
            "history of devices": lambda: keep(session, plain, DEVICES),
            "history of data-records": lambda: keep(session, plans, DATA_RECORDS),
            "parquet sink, for devices' history": lambda: parquet_sink(session, plain, DEVICES),
            "parquet sink, for data-records'": lambda: parquet_sink(session, plans, DATA_RECORDS),
        }
        chosen = self._asked_for(bare | ours)
        if chosen or peer:
            self._fill()
            self._run(bare | chosen)

    def measure_peer(self, name: str, jobs: Mapping[str, Callable[[], float]]) -> None:
        """Run another system's jobs.

        Args:
            name: of the system.
            jobs: by the names of ours; each tells its own seconds.
        """
        self._run(self._asked_for({f"{name}, {ours}": job for ours, job in jobs.items()}))
        self._peers += [(name, ours) for ours in jobs]

    def print(self) -> None:
        """Print rates, and ratios to the bare read and of ours to the peer's, if anything ran."""
        if not self._rates:
            return
        print(f"\n{self.topics.records:,} records, {self.topics.users:,} users and agreements, {self.rounds} rounds")
        print(f"{'job':<36}{'cold':>12}{'warm best':>12}{'median':>12}{'of the bare read, warm':>24}")
        for name, (cold, *warm) in self._rates.items():
            bare = self._median("bare read of data-records" if "data" in name else "bare read of devices")
            best, middle = max(warm or [cold]), self._median(name)
            print(f"{name:<36}{cold:>10,.0f}/s{best:>10,.0f}/s{middle:>10,.0f}/s{middle / bare:>24.2f}")
        for peer, ours in self._peers:
            if {ours, f"{peer}, {ours}"} <= set(self._rates):
                ratio = self._median(ours) / self._median(f"{peer}, {ours}")
                print(f"{ours}: {ratio:.2f} of {peer}'s rate, warm medians")
        print(f"driver's resident memory, at most {self._java_gib:.1f} GiB", flush=True)

    def _asked_for(self, jobs: Jobs) -> Jobs:
        return {name: job for name, job in jobs.items() if any(part in name for part in self.only)}

    def _run(self, jobs: Jobs) -> None:
        for _ in range(self.rounds):
            for name, job in jobs.items():
                clear(*self._places)
                began = time.perf_counter()
                took = job() or time.perf_counter() - began
                self._rates.setdefault(name, []).append(self.topics.records / took)
                self._java_gib = max(self._java_gib, java_memory_gib())

    def _fill(self) -> None:
        """Fill the topics; agreements have their periods before data records are timed."""
        self.topics.devices(self._plain, event_ids=False)
        self.topics.devices(self._identified, event_ids=True)
        self.topics.agreements(self._plans)
        self.topics.data_records(self._plans)
        stream(self.session, self._plans, [AGREEMENTS, DATA_RECORDS], most_records=self.topics.users)

    def _median(self, name: str) -> float:
        """Of the warm rounds, if there are any."""
        cold, *warm = self._rates[name]
        return median(warm or [cold])


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


def quiesce(settings: Settings) -> None:
    """Let PostgreSQL be done with what was filled in, so that it does not go on beside what is measured."""
    engine = database(settings.require_database_url())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))
        connection.execute(text("checkpoint"))


def java_memory_gib() -> float:
    """Resident memory of Spark's JVM, which this process started."""
    children = psutil.Process().children()
    return max((c.memory_info().rss for c in children if c.name() == "java"), default=0) / 2**30
