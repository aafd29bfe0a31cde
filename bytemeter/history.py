"""The history: a Delta table per feed, its rows with their positions, its commits with their end offsets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DateType,
    IntegerType,
    LongType,
    StructField,
    StructType,
    TimestampType,
)

from bytemeter.feeds import Feed
from bytemeter.offset_log import Offsets

PARTITIONED_BY = ("event_date", "event_hour")
_COMMITS_LOOKED_AT = 50


def history_rows(feed: Feed) -> Callable[[DataFrame], DataFrame]:
    """What the history keeps of parsed messages.

    Returns:
        A transformation of parsed messages (see ``bytemeter.parsing.parse``) into the valid ones: partition: int,
        offset: long, the feed's fields, event_time: timestamp, event_date: date, event_hour: int (UTC).
    """

    def transformation(parsed: DataFrame) -> DataFrame:
        names = ["partition", "offset", *feed.schema.names, "epoch_s"]
        # Not a filter: Spark would push it below the parsing, and parse twice.
        kept = F.explode(F.when(F.col("reason").isNull(), F.array(F.struct(*names))))
        time = F.timestamp_seconds("epoch_s")
        return (
            parsed.select(kept.alias("record"))
            .select("record.*")
            .select(
                "partition",
                "offset",
                *feed.schema.names,
                time.alias("event_time"),
                F.to_date(time).alias("event_date"),
                F.hour(time).alias("event_hour"),
            )
        )

    return transformation


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
        fields = [
            StructField("partition", IntegerType()),
            StructField("offset", LongType()),
            *(StructField(field.name, field.dataType) for field in self.feed.schema),
            StructField("event_time", TimestampType()),
            StructField("event_date", DateType()),
            StructField("event_hour", IntegerType()),
        ]
        empty = self.session.createDataFrame([], StructType(fields))
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
