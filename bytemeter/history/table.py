"""The two Delta tables of a feed, of valid records and of invalid messages: columns and files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    DateType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from bytemeter.errors import BytemeterError
from bytemeter.history import delta
from bytemeter.history.feed_table import FeedTable
from bytemeter.history.reading import File

_POSITION = (StructField("partition", IntegerType()), StructField("offset", LongType()))


@dataclass(frozen=True)
class InvalidMessages(FeedTable):
    """The history of a feed's invalid messages, as they were received.

    Columns: partition: int, offset: long, reason: string, value: binary (null for a tombstone), key: binary and
    timestamp: timestamp (Kafka's), received_at: timestamp (when it was written) and received_date: date (UTC).

    It also has records whose event time was too far ahead of the clock when Kafka received them, with
    ``Feed.clock_reason``: the live query may have refused them.

    All invalid messages below the end offsets of the history (``History.end_offsets``) are in it, except those that
    were read before the table existed.
    """

    @property
    def name(self) -> str:
        """Such as ``devices.invalid``."""
        return f"{self.feed.name}.invalid"

    @property
    def columns(self) -> StructType:
        """See the class."""
        return StructType(
            [
                *_POSITION,
                StructField("reason", StringType()),
                StructField("value", BinaryType()),
                StructField("key", BinaryType()),
                StructField("timestamp", TimestampType()),
                StructField("received_at", TimestampType()),
                StructField("received_date", DateType()),
            ]
        )

    @property
    def partitioned_by(self) -> tuple[str, ...]:
        """The day on which the message was written to the table."""
        return ("received_date",)

    def end_of(self, values: Mapping[str, str]) -> dt.datetime:
        """The end of the day."""
        return dt.datetime.fromisoformat(f"{values['received_date']}T00:00:00+00:00") + dt.timedelta(days=1)


@dataclass(frozen=True)
class History(FeedTable):
    """The history of one feed: its valid records.

    Columns: partition: int, offset: long, the feed's fields, raw: string where the feed keeps messages as received,
    event_time: timestamp (microseconds), event_date: date and event_hour: int (UTC).

    It holds all valid records below its end offsets, from which a writer starts.
    """

    @property
    def name(self) -> str:
        """The feed's."""
        return self.feed.name

    @property
    def columns(self) -> StructType:
        """See the class."""
        return StructType(
            [
                *_POSITION,
                *(StructField(field.name, field.type.spark) for field in self.feed.kept_fields),
                StructField("event_time", TimestampType()),
                StructField("event_date", DateType()),
                StructField("event_hour", IntegerType()),
            ]
        )

    @property
    def partitioned_by(self) -> tuple[str, ...]:
        """The event hour."""
        return ("event_date", "event_hour")

    def end_of(self, values: Mapping[str, str]) -> dt.datetime:
        """The end of the event hour."""
        return _hour(values) + dt.timedelta(hours=1)

    def files(self, since: dt.datetime, until: dt.datetime) -> list[File]:
        """The files of the hours in [since, until), as of the latest commit.

        Raises:
            BytemeterError: rows were deleted that are still in their files.
        """
        of_days = F.col("partitionValues.event_date").between(str(since.date()), str(until.date()))
        found = delta.files(self.session, self.path).where(of_days)
        chosen = found.select("path", "size", "partitionValues", F.col("deletionVector").isNotNull().alias("deleted"))
        rows = [(row, _hour(row.partitionValues)) for row in chosen.collect()]
        within = [(row, hour) for row, hour in rows if since <= hour < until]
        path = self.path
        if any(row.deleted for row, _ in within):
            raise BytemeterError(
                f"rows of the history in {path} are deleted by deletion vectors; write their files anew by "
                f"`REORG TABLE delta.`{path}` APPLY (PURGE)`"
            )
        return [File(n, path, unquote(row.path), hour, row.size) for n, (row, hour) in enumerate(within)]


def _hour(partition: Mapping[str, str]) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{partition['event_date']}T{int(partition['event_hour']):02}:00:00+00:00")
