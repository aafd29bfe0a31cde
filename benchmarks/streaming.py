"""The streaming jobs that are measured: our live and history queries, bare reads and Spark's own Parquet sink."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass, field
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.throughput import Job
from benchmarks.topics import Topics
from bytemeter.feeds import AGREEMENTS, BILLABLE_EVENTS, DATA_RECORDS, DEVICES, Feed
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.source import stream as kafka_source
from simulator.traffic import Sent
from speed_layer.stream import Streams

BARE_DEVICES, BARE_DATA_RECORDS = "bare read of devices", "bare read of data records"
LIVE_TOTALS = "live totals"
BILLABLE = "billable events, deduplicated by event id"
DATA_PLANS = "data plans, deduplicated by event id"
_HISTORY = "history of {} to Delta"
_PARQUET_SINK = "Spark's Parquet sink, parsed {}"


@dataclass
class StreamingJobs:
    """Our jobs, and the bare reads to which they are compared.

    Attributes:
        plain: the place of devices without event ids.
        identified: the place of devices with event ids.
        plans: the place of agreements and data records.
        billing: the place of billable events with event ids.
        bucket: URI of a bucket; None to leave out the history in a bucket.
    """

    session: SparkSession
    topics: Topics
    bucket: str | None = None
    plain: Settings = field(init=False)
    identified: Settings = field(init=False)
    plans: Settings = field(init=False)
    billing: Settings = field(init=False)

    def __post_init__(self) -> None:
        names = ("plain.", "ids.", "plans.", "billing.")
        self.plain, self.identified, self.plans, self.billing = (self.topics.place(name) for name in names)

    @property
    def places(self) -> list[Settings]:
        """All places, in one database."""
        return [self.plain, self.identified, self.plans, self.billing]

    def fill(self) -> Sent:
        """Fill the topics, and make the billing periods of all agreements; returns the counts of ``plain``."""
        sent = self.topics.devices(self.plain, event_ids=False)
        self.topics.devices(self.identified, event_ids=True)
        self.topics.billable_events(self.billing)
        self.topics.agreements(self.plans)
        self.topics.data_records(self.plans)
        stream(self.session, self.plans, [AGREEMENTS, DATA_RECORDS], most_records=self.topics.users)
        return sent

    def bare_reads(self) -> list[Job]:
        """The baselines."""
        session, plain, plans = self.session, self.plain, self.plans
        return [
            Job(BARE_DEVICES, partial(bare_read, session, plain, DEVICES), BARE_DEVICES),
            Job(BARE_DATA_RECORDS, partial(bare_read, session, plans, DATA_RECORDS), BARE_DATA_RECORDS),
        ]

    def ours(self) -> list[Job]:
        """Our jobs, and after them the Parquet sinks to which the history queries are compared."""
        session, plain, plans = self.session, self.plain, self.plans
        devices, data_records = _HISTORY.format("devices"), _HISTORY.format("data records")
        deduplicated = f"{LIVE_TOTALS}, deduplicated by event id"
        sink_of_devices, sink_of_data_records = map(_PARQUET_SINK.format, ("devices", "data records"))
        return [
            Job(LIVE_TOTALS, partial(stream, session, plain, [DEVICES]), BARE_DEVICES),
            Job(deduplicated, partial(stream, session, self.identified, [DEVICES]), BARE_DEVICES),
            Job(BILLABLE, partial(stream, session, self.billing, [BILLABLE_EVENTS]), deduplicated),
            Job(DATA_PLANS, partial(stream, session, plans, [AGREEMENTS, DATA_RECORDS]), BARE_DATA_RECORDS),
            Job(devices, partial(keep, session, plain, DEVICES), BARE_DEVICES),
            *([Job(f"{devices}, in a bucket", self._keep_in_bucket, devices)] if self.bucket else []),
            Job(data_records, partial(keep, session, plans, DATA_RECORDS), BARE_DATA_RECORDS),
            Job(sink_of_devices, partial(parquet_sink, session, plain, DEVICES), BARE_DEVICES, devices),
            Job(
                sink_of_data_records, partial(parquet_sink, session, plans, DATA_RECORDS), BARE_DATA_RECORDS,
                data_records,
            ),
        ]  # fmt: skip

    def _keep_in_bucket(self) -> None:
        # A prefix of its own for each round: the history of the one before stays.
        history = f"{self.bucket}/{uuid.uuid4()}"
        keep(self.session, self.plain.model_copy(update={"history": history}), DEVICES)


def stream(session: SparkSession, settings: Settings, feeds: list[Feed], *, most_records: int | None = None) -> None:
    """Run the live query over whole topics.

    Args:
        most_records: per micro-batch; by default as in the settings.
    """
    if most_records:
        settings = settings.model_copy(update={"max_records_per_batch": most_records})
    Streams(session, settings, feeds, once=True, history=False).run()


def keep(session: SparkSession, settings: Settings, feed: Feed) -> None:
    """Run the history query over the whole topic."""
    Streams(session, settings, [feed], once=True, live=False).run()


def bare_read(session: SparkSession, settings: Settings, feed: Feed) -> None:
    """Read the topic with Spark and parse the JSON of its messages, but write nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        writer = _parsed(session, settings, feed).writeStream.format("noop").option("checkpointLocation", scratch)
        writer.trigger(availableNow=True).start().awaitTermination()


def parquet_sink(session: SparkSession, settings: Settings, feed: Feed) -> None:
    """Read and parse the topic in the same way, and write the records by Spark's own Parquet sink.

    It does not validate, does not partition by time, and makes no Delta commit.
    """
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
