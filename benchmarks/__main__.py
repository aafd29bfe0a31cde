"""``make bench``: records/s of the live and the history query against Spark's bare read-and-parse of the same topic.

Everything runs on this machine, the broker and PostgreSQL beside Spark, in a stack of its own that is removed at the
end. The first round is cold (Spark has compiled nothing yet), the later ones are warm.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sqlalchemy import text

from bytemeter import logs
from bytemeter.feeds import DEVICES
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.settings import Settings, load_settings
from bytemeter.source import stream as kafka_source
from bytemeter.spark import local_session
from simulator.devices import DeviceSimulation
from simulator.producer import producer, send
from simulator.traffic import Traffic
from speed_layer.stream import Streams
from stack.embedded import EmbeddedStack
from stack.home import Home
from stack.setup import prepare

START = 1_763_700_000
TABLES = "bytes, ledger, hours, seen_ids, duplicate_events, invalid_events"


def main() -> None:
    """Fill two topics, with and without event ids, and time each job on them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    logs.configure(quiet=True)
    home = Path(tempfile.mkdtemp(prefix="bytemeter-bench-"))
    stack = EmbeddedStack(Home(home))
    try:
        stack.up()
        plain, identified = (stack.settings(load_settings(home=home, topic_prefix=p)) for p in ("plain.", "ids."))
        for settings in (plain, identified):
            prepare(settings)
            fill(settings, given.records, given.users, event_ids=settings is identified)
        session = local_session("bytemeter-bench", logs=home / "logs")
        compare(session, plain, identified, given.records, given.rounds)
        session.stop()
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


def fill(settings: Settings, records: int, users: int, *, event_ids: bool) -> None:
    """Send the topic's records, and tell how fast they were built and sent."""
    kafka = Kafka(settings)
    duplicates = 0.01 if event_ids else 0.0
    traffic = DeviceSimulation(
        Traffic(START, rate=1_000, records=records, subscribers=users, antennas=500, duplicates=duplicates,
                late=0.01, invalid=0.001, event_ids=event_ids)
    )  # fmt: skip
    began = time.perf_counter()
    send(producer(kafka.librdkafka()), kafka.topic_name(DEVICES.topic), traffic.pieces())
    rate = records / (time.perf_counter() - began)
    print(f"simulator, built and sent{', with ids' if event_ids else '':<10} {rate:>12,.0f}/s", flush=True)


def compare(session: SparkSession, plain: Settings, identified: Settings, records: int, rounds: int) -> None:
    """Time the jobs in turn, round by round, and print their rates and their ratios to the bare read."""
    jobs: dict[str, Callable[[], None]] = {
        "bare read-and-parse": lambda: bare_read(session, plain),
        "live totals": lambda: live(session, plain),
        "live totals, ids checked": lambda: live(session, identified),
        "history to Delta": lambda: history(session, plain),
    }
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    peak = 0.0
    for _ in range(rounds):
        for name, job in jobs.items():
            clear(plain)
            began = time.perf_counter()
            job()
            rates[name].append(records / (time.perf_counter() - began))
            peak = max(peak, java_memory_gib())
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    print(f"\n{records:,} records, {rounds} rounds, {machine}")
    print(f"{'job':<26}{'cold':>12}{'warm best':>12}{'median':>12}{'of bare read, warm':>20}")
    bare = median(rates["bare read-and-parse"][1:] or rates["bare read-and-parse"])
    for name, (cold, *warm) in rates.items():
        middle = median(warm or [cold])
        print(f"{name:<26}{cold:>10,.0f}/s{max(warm or [cold]):>10,.0f}/s{middle:>10,.0f}/s{middle / bare:>20.2f}")
    print(f"driver's resident memory, at most {peak:.1f} GiB")


def bare_read(session: SparkSession, settings: Settings) -> None:
    """What Spark does at least: read the topic's messages and parse their JSON, to nowhere."""
    kafka = Kafka(settings)
    topic = kafka.describe(kafka.topic_name(DEVICES.topic))
    assert topic is not None  # noqa: S101
    messages = kafka_source(
        session, kafka, topic.name, dict(topic.earliest), most_records=settings.max_records_per_batch
    )
    parsed = messages.select(F.from_json(F.col("value").cast("string"), DEVICES.schema).alias("e")).select("e.*")
    with tempfile.TemporaryDirectory() as scratch:
        writer = parsed.writeStream.format("noop").option("checkpointLocation", scratch).trigger(availableNow=True)
        writer.start().awaitTermination()


def live(session: SparkSession, settings: Settings) -> None:
    """The live query over the whole topic."""
    Streams(session, settings, [DEVICES], once=True, history=False).run()


def history(session: SparkSession, settings: Settings) -> None:
    """The history query over the whole topic."""
    Streams(session, settings, [DEVICES], once=True, live=False).run()


def clear(settings: Settings) -> None:
    """Forget what an earlier job has written."""
    shutil.rmtree(Path(settings.require_history()) / DEVICES.name, ignore_errors=True)
    with database(settings.require_database_url()).begin() as connection:
        connection.execute(text(f"truncate {TABLES}"))


def java_memory_gib() -> float:
    """Resident memory of the JVM that this process started."""
    children = psutil.Process().children(recursive=True)
    return max((c.memory_info().rss for c in children if c.name() == "java"), default=0) / 2**30


if __name__ == "__main__":
    main()
