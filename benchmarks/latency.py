"""Alert latency: the time from producing a crossing record to reading its event from Kafka, at a steady rate."""

from __future__ import annotations

import bisect
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition
from pyspark.sql import SparkSession
from sqlalchemy import Connection

from benchmarks.state import SQL, quiesce
from benchmarks.topics import SERVICE_START
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.kafka import Kafka
from bytemeter.plans.events import TOPIC
from bytemeter.postgres import database
from bytemeter.settings import Settings
from simulator.agreements import AgreementSimulation
from simulator.data_records import DataRecordSimulation
from simulator.producer import producer, send
from simulator.traffic import Traffic
from speed_layer.stream import Streams

RATE = 5_000
_WARM_UP_S = 20
_LONGEST_WAIT_S = 60


@dataclass
class Produced:
    """When records were produced.

    Attributes:
        firsts: for each piece, the index of its first record.
        times: for each piece, epoch seconds.
    """

    firsts: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def time_of(self, index: int) -> float:
        """When the record with this index was produced."""
        return self.times[bisect.bisect_right(self.firsts, index) - 1]


def measure_latency(session: SparkSession, settings: Settings, users: int, seconds: int) -> None:
    """Print percentiles of the latency of all crossings after a warm-up, while records come at the rate."""
    kafka, stop = Kafka(settings), threading.Event()
    with database(settings.require_database_url()).begin() as connection:
        connection.execute(SQL["remove_agreements"])
    to = producer(kafka.librdkafka())
    send(to, kafka.topic_name(AGREEMENTS.topic), AgreementSimulation(users, 7, SERVICE_START, 0).pieces())
    # In the middle of a month most subscribers have used something before.
    earlier = Traffic(time.time() - 3_600, rate=RATE, records=3 * users, subscribers=users, skew=0)
    send(to, kafka.topic_name(DATA_RECORDS.topic), DataRecordSimulation(earlier).pieces())
    Streams(session, settings, [AGREEMENTS, DATA_RECORDS], once=True, history=False).run()
    quiesce(settings)
    produced, latencies = Produced(), []
    with ThreadPoolExecutor(2) as pool:
        streaming = pool.submit(Streams(session, settings, [AGREEMENTS, DATA_RECORDS], history=False, stop=stop).run)
        consuming = pool.submit(_consume, kafka, stop)
        began = time.time() + 5
        simulated = DataRecordSimulation(Traffic(began, rate=RATE, depth=0, subscribers=users))
        for due, messages in simulated.pieces(RATE // 50):
            time.sleep(max(0.0, due - time.time()))
            produced.firsts.append(simulated.sent.records - len(messages))
            produced.times.append(time.time())
            to.produce_batch(kafka.topic_name(DATA_RECORDS.topic), messages)
            to.poll(0)
            if due > began + _WARM_UP_S + seconds or streaming.done():
                break
        to.flush(30)
        _wait_until_counted(settings, 3 * users + simulated.sent.records)
        stop.set()
        streaming.result()
        for index, read_at in consuming.result():
            produced_at = produced.time_of(index)
            if produced_at > began + _WARM_UP_S:
                latencies.append(read_at - produced_at)
    latencies.sort()
    if latencies:
        p50, p99 = (1000 * latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
        print(f"\nalert latency at {RATE:,} records/s, {users:,} agreements, {seconds} s: {len(latencies)} crossings, "
              f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", flush=True)  # fmt: skip


def _wait_until_counted(settings: Settings, records: int) -> None:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    with database(settings.require_database_url()).connect() as connection:
        while time.monotonic() < deadline and _received(connection) < records:
            connection.rollback()
            time.sleep(0.1)


def _received(connection: Connection) -> int:
    return int(connection.execute(SQL["received"], {"feed": DATA_RECORDS.name}).scalar_one())


def _consume(kafka: Kafka, stop: threading.Event) -> list[tuple[int, float]]:
    """The indexes of crossing records, and when their events were read, in epoch seconds."""
    topic, events = kafka.topic_name(TOPIC), []
    described = kafka.describe(topic)
    assert described is not None  # noqa: S101
    consumer = Consumer(
        {**kafka.librdkafka(), "group.id": "bench", "enable.auto.commit": False, "fetch.wait.max.ms": 5}
    )
    consumer.assign([TopicPartition(topic, p, offset) for p, offset in described.latest.items()])
    while not stop.is_set():
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            read_at = time.time()
            record = json.loads(message.value() or b"{}")["latestInternalRecordId"]
            if record:
                events.append((int(record.removeprefix("r")), read_at))
    consumer.close()
    return events
