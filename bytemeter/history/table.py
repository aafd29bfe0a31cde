"""The Delta table of a feed: its columns, its commits, and the files that it consists of."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

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

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.history import delta
from bytemeter.history.reading import File
from bytemeter.history.writing import Written
from bytemeter.offset_log import Offsets

PARTITIONED_BY = ("event_date", "event_hour")
_COMMITS_LOOKED_AT = 50


def _schema(feed: Feed) -> StructType:
    return StructType(
        [
            StructField("partition", IntegerType()),
            StructField("offset", LongType()),
            *(StructField(field.name, field.type.spark) for field in feed.kept_fields),
            StructField("event_time", TimestampType()),
            StructField("event_date", DateType()),
            StructField("event_hour", IntegerType()),
        ]
    )


@dataclass(frozen=True)
class History:
    """The history of one feed, in a folder or a bucket.

    Columns: partition: int, offset: long, the feed's fields, raw: string where the feed keeps messages as received,
    event_time: timestamp (microseconds), event_date: date and event_hour: int (UTC).

    Delivery: exactly once. A commit carries its end offsets and, as Delta's transaction version, their sum. A writer
    starts at the end offsets of the last commit, and commits only if no other commit came since.
    """

    session: SparkSession
    root: str
    feed: Feed

    @property
    def path(self) -> str:
        """The table's folder or URI."""
        return f"{self.root}/{self.feed.name}"

    def create(self) -> None:
        """Create the table unless it exists.

        Raises:
            BytemeterError: one exists that has other columns.
        """
        schema = _schema(self.feed)
        existing = delta.schema(self.session, self.path)
        if existing is None:
            delta.create(self.session, self.path, schema, partitioned_by=PARTITIONED_BY)
            return
        found, expected = ({field.name: field.dataType.simpleString() for field in of} for of in (existing, schema))
        if found != expected:
            differing = sorted(set(found.items()) ^ set(expected.items()))
            raise BytemeterError(
                f"the history in {self.path} has other columns than the feed {self.feed.name}: only one of the two has "
                f"{differing}; alter the table, or start over with an empty BYTEMETER_HISTORY"
            )

    def end_offsets(self) -> Offsets:
        """Per partition the offset below which the history holds all valid records; empty without a commit."""
        latest = next(delta.notes(self.session, self.path, most=_COMMITS_LOOKED_AT), None)
        ends: dict[str, int] = json.loads(latest)["endOffsets"] if latest else {}
        return {int(partition): offset for partition, offset in ends.items()}

    def append(self, files: Iterable[Written], end: Offsets, *, after: Offsets) -> None:
        """Commit the files of a micro-batch that ends at ``end``, once.

        Args:
            after: the end offsets of the last commit; empty if there is none.

        Raises:
            BytemeterError: another process has committed since.
        """
        delta.commit(
            self.session,
            self.path,
            [_addition(file) for file in files],
            application=f"bytemeter/{self.feed.name}",
            after=sum(after.values()) if after else -1,
            version=sum(end.values()),
            partitioned_by=PARTITIONED_BY,
            note=json.dumps({"endOffsets": end}),
        )

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

    def read(self) -> DataFrame:
        """All rows, as of the latest commit."""
        return self.session.read.format("delta").load(self.path)


def _hour(partition: Mapping[str, str]) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{partition['event_date']}T{int(partition['event_hour']):02}:00:00+00:00")


def _addition(file: Written) -> delta.Action:
    """The action of Delta's protocol that makes a file part of a table."""
    return {
        "add": {
            "path": file.path,
            "partitionValues": {"event_date": file.event_date, "event_hour": file.event_hour},
            "size": file.size,
            "modificationTime": file.written_ms,
            "dataChange": True,
            "stats": json.dumps({"numRecords": file.records}),
        }
    }
