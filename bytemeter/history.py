"""The history: a Delta table per feed, its rows with their positions, its commits with their end offsets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    DateType,
    IntegerType,
    LongType,
    StructField,
    StructType,
    TimestampType,
)

from bytemeter.aggregations import Transformation
from bytemeter.executors import mapped
from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets
from bytemeter.parsing import parse, valid

PARTITIONED_BY = ("event_date", "event_hour")
_COMMITS_LOOKED_AT = 50


def history_rows(feed: Feed) -> Transformation:
    """What the history keeps of messages.

    Returns:
        A transformation of Kafka source rows (partition: int, offset: long, value: binary) into those of the valid
        records, see ``kept``.
    """

    return lambda messages: mapped(messages.select("partition", "offset", "value"), partial(kept, feed), _schema(feed))


def kept(feed: Feed, messages: pa.Table) -> pa.Table:
    """The valid records of messages (see ``bytemeter.parsing.parse``).

    Returns:
        Rows of partition: int, offset: long, the feed's fields, event_time: timestamp (microseconds), event_date: date,
        event_hour: int (UTC).
    """
    records = valid(parse(feed, messages))
    time = records.column("event_us").cast(pa.timestamp("us", "UTC"))
    return (
        records.select(["partition", "offset", *feed.schema.names])
        .append_column("event_time", time)
        .append_column("event_date", time.cast(pa.date32()))
        .append_column("event_hour", pc.hour(time).cast(pa.int32()))
    )


def _schema(feed: Feed) -> StructType:
    return StructType(
        [
            StructField("partition", IntegerType()),
            StructField("offset", LongType()),
            *(StructField(field.name, field.dataType) for field in feed.schema),
            StructField("event_time", TimestampType()),
            StructField("event_date", DateType()),
            StructField("event_hour", IntegerType()),
        ]
    )


@dataclass(frozen=True)
class History:
    """The history of one feed, in a folder or a bucket.

    Delivery: a commit carries its end offsets and, as Delta's transaction version, their sum. A writer starts where
    the last commit ended, and Delta skips a commit whose version is not above the last one.
    """

    session: SparkSession
    root: str
    feed: Feed

    @property
    def path(self) -> str:
        """The table's folder or URI."""
        return f"{self.root}/{self.feed.name}"

    def create(self) -> None:
        """Create the table unless it exists."""
        empty = self.session.createDataFrame([], _schema(self.feed))
        empty.write.format("delta").partitionBy(*PARTITIONED_BY).mode("ignore").save(self.path)

    def end_offsets(self) -> Offsets:
        """Per partition the offset up to which the history holds all valid records; empty if it holds none."""
        try:
            commits = self.session.sql(f"describe history delta.`{self.path}` limit {_COMMITS_LOOKED_AT}")
        except AnalysisException:
            return {}
        for commit in commits.select("userMetadata").where("userMetadata is not null").collect():
            ends: dict[str, int] = json.loads(commit.userMetadata)["endOffsets"]
            return {int(partition): offset for partition, offset in ends.items()}
        return {}

    def append(self, rows: DataFrame, end: Offsets) -> None:
        """Append the rows of a micro-batch that ends at ``end``, once."""
        (
            rows.write.format("delta")
            .option("txnAppId", f"bytemeter/{self.feed.name}")
            .option("txnVersion", sum(end.values()))
            .option("userMetadata", json.dumps({"endOffsets": end}))
            .mode("append")
            .save(self.path)
        )

    def read(self) -> DataFrame:
        """All rows, as of the latest commit."""
        return self.session.read.format("delta").load(self.path)
