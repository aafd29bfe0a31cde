"""The Delta tables of a feed, of valid records and of invalid messages: columns, commits, and files."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
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
from bytemeter.feeds import Feed
from bytemeter.history import delta
from bytemeter.history.reading import File
from bytemeter.history.restores import count_records, require_no_loss
from bytemeter.history.writing import Written
from bytemeter.offset_log import Offsets

RETENTION_H = 168.0
# Others list the log from its last checkpoint on, and read the commits since.
_COMMITS_BETWEEN_CHECKPOINTS = 50
# In place of the number of a table's records.
_UNKNOWN = -1
_POSITION = (StructField("partition", IntegerType()), StructField("offset", LongType()))


@dataclass(frozen=True)
class FeedTable(ABC):
    """A Delta table of messages of one feed, in a folder or a bucket.

    Delivery: exactly once. A commit carries its end offsets: as Delta's transaction versions, one for each partition
    and one for their sum, which stay part of the table's state; and as a note in the log. A writer commits only if no
    other writer has committed since the commit that it knows. Commits of `bytemeter maintain` carry none.
    """

    session: SparkSession
    root: str
    feed: Feed

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the table's folder."""

    @property
    @abstractmethod
    def columns(self) -> StructType:
        """The columns, those that it is partitioned by among them."""

    @property
    @abstractmethod
    def partitioned_by(self) -> tuple[str, ...]:
        """The columns by whose values the files are put into folders."""

    @abstractmethod
    def end_of(self, values: Mapping[str, str]) -> dt.datetime:
        """The instant from which on nothing new comes into the folder of these values, but for what is late."""

    @property
    def path(self) -> str:
        """The table's folder or URI."""
        return f"{self.root}/{self.name}"

    @property
    def application(self) -> str:
        """The application of Delta's transactions whose version is the sum of the end offsets."""
        return f"bytemeter/{self.name}"

    def exists(self) -> bool:
        """Whether the table was created."""
        return delta.schema(self.session, self.path) is not None

    def create(self, *, retention_h: float = RETENTION_H) -> None:
        """Create the table unless it exists.

        Args:
            retention_h: hours for which older versions of the table can be read; see ``retention_properties``.

        Raises:
            BytemeterError: one exists that has other columns.
        """
        existing = delta.schema(self.session, self.path)
        if existing is not None:
            existing = self._with_later_columns(existing)
        if existing is None:
            properties = retention_properties(retention_h)
            delta.create(
                self.session, self.path, self.columns, partitioned_by=self.partitioned_by, properties=properties
            )
            return
        found, expected = (
            {field.name: field.dataType.simpleString() for field in of} for of in (existing, self.columns)
        )
        if found != expected:
            differing = sorted(set(found.items()) ^ set(expected.items()))
            raise BytemeterError(
                f"the history in {self.path} has other columns than the feed {self.feed.name}: only one of the two has "
                f"{differing}; alter the table, or start over with an empty BYTEMETER_HISTORY"
            )

    def _with_later_columns(self, existing: StructType) -> StructType | None:
        """The columns, after those were added that messages may lack and that a later release has brought."""
        names = set(existing.names)
        later = [column for column in self.columns if column.name not in names and column.nullable]
        optional = {field.name for field in self.feed.kept_fields if not field.required}
        added = [column for column in later if column.name in optional]
        if not added or len(added) < len([name for name in self.columns.names if name not in names]):
            return existing
        listed = ", ".join(f"`{column.name}` {column.dataType.simpleString()}" for column in added)
        self.session.sql(f"alter table delta.`{self.path}` add columns ({listed})")
        return delta.schema(self.session, self.path)

    def end_offsets(self) -> Offsets:
        """Per partition the end offset of the last commit of a writer; empty without one.

        Raises:
            BytemeterError: the table does not hold what it should hold below them: an older version was brought back,
                or they are not known any more.
        """
        versions = delta.transaction_versions(self.session, self.path)
        kept = self._kept_end_offsets(versions)
        if kept is None:
            return self._noted_end_offsets()
        if self._place in versions:
            self._require_no_loss(versions)
        return kept

    def topic_id(self) -> str | None:
        """The id of the topic whose messages the table holds; None if no commit has named it yet."""
        versions = delta.transaction_versions(self.session, self.path)
        return next((name.removeprefix(self._topic) for name in versions if name.startswith(self._topic)), None)

    def require_topic(self, topic_id: str, *, topic: str) -> None:
        """Require that the table holds messages of no other topic.

        A topic that was deleted and created again has another id, and other messages at the same offsets.

        Args:
            topic_id: of the topic as the broker, or the ledger, has it.
            topic: the topic's name, for the error line.

        Raises:
            BytemeterError: it holds messages of another one.
        """
        known = self.topic_id()
        if known is not None and known != topic_id:
            raise BytemeterError(
                f"topic {topic} was re-created: its id is {topic_id}, the history in {self.path} has {known}; start "
                "over with an empty BYTEMETER_DATABASE_URL and BYTEMETER_HISTORY, or restore the topic"
            )

    def append(self, files: Iterable[Written], end: Offsets, *, after: Offsets, topic_id: str | None = None) -> None:
        """Commit the files of a micro-batch that ends at ``end``, once.

        Args:
            after: the end offsets of the last commit; empty if there is none.
            topic_id: of the topic that the messages came from; None for what is not from a topic.

        Raises:
            BytemeterError: another writer has committed since, or an older version of the table was brought back.
        """
        versions, added = delta.transaction_versions(self.session, self.path), list(files)
        held = self._require_no_loss(versions) if self._place in versions else None
        if held is None:
            held = count_records(self.session, self.path) if self.application in versions else 0
        records = _UNKNOWN if held is None else held + sum(file.records for file in added)
        delta.append(
            self.session,
            self.path,
            [addition(file, data_change=True) for file in added],
            transactions=self._transactions(end, after=after, topic_id=topic_id, records=records),
            partitioned_by=self.partitioned_by,
            note=json.dumps({"endOffsets": end, "commit": str(uuid.uuid4())}),
        )

    def keep_end_offsets(self) -> None:
        """Make the end offsets part of the table's state, if a writer of an earlier release has left them in the log.

        Other commits hide them there, and the log is deleted in the end.

        Raises:
            BytemeterError: a writer has committed at the same time.
        """
        versions = delta.transaction_versions(self.session, self.path)
        if self._kept_end_offsets(versions) is None and (ends := self.end_offsets()):
            self.append([], ends, after=ends)

    @property
    def _place(self) -> str:
        return f"{self.application}#version"

    @property
    def _topic(self) -> str:
        return f"{self.application}#topic/"

    @property
    def _records(self) -> str:
        return f"{self.application}#records"

    def _require_no_loss(self, versions: Mapping[str, int]) -> int | None:
        """Require that nothing of the last commit of a writer is gone; returns how many records there are, if known."""
        until, noted = delta.latest_version(self.session, self.path), versions.get(self._records, _UNKNOWN)
        return require_no_loss(
            self.session,
            self.path,
            since=versions[self._place],
            until=until,
            noted=None if noted == _UNKNOWN else noted,
        )

    def _noted_end_offsets(self) -> Offsets:
        """The end offsets that a writer of an earlier release has left in the log only, between the notes of others."""
        for note in delta.notes(self.session, self.path):
            if (noted := _end_offsets(note)) is not None:
                return noted
        if delta.latest_version(self.session, self.path) > 0 and delta.files(self.session, self.path).limit(1).count():
            raise BytemeterError(
                f"{self.path} has files, but no commit of its log says up to which offsets; "
                "start over with an empty BYTEMETER_HISTORY"
            )
        return {}

    def _kept_end_offsets(self, versions: Mapping[str, int]) -> Offsets | None:
        """The end offsets in the table's state, as of one version of it; None if a writer has not left them there."""
        prefix = f"{self.application}/"
        ends = {int(name.removeprefix(prefix)): end for name, end in versions.items() if name.startswith(prefix)}
        return ends if ends and sum(ends.values()) == versions.get(self.application) else None

    def _transactions(self, end: Offsets, *, after: Offsets, topic_id: str | None, records: int) -> delta.Transactions:
        versions = {f"{self.application}/{partition}": offset for partition, offset in end.items()}
        if topic_id is not None:
            versions[f"{self._topic}{topic_id}"] = 1
        versions[self._records] = records
        total = sum(after.values()) if after else -1
        versions[self.application] = sum(end.values())
        return delta.Transactions(self.application, total, versions, self._place)

    def read(self) -> DataFrame:
        """All rows, as of the latest commit."""
        return self.session.read.format("delta").load(self.path)


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


def _end_offsets(note: str) -> Offsets | None:
    """The end offsets that a commit's note has; None if it is a note of others."""
    try:
        ends = json.loads(note)["endOffsets"]
        return {int(partition): int(offset) for partition, offset in ends.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _hour(partition: Mapping[str, str]) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{partition['event_date']}T{int(partition['event_hour']):02}:00:00+00:00")


def retention_properties(retention_h: float) -> dict[str, str]:
    """The properties of a table by which Delta keeps what readers of older versions need, and deletes older log files.

    Args:
        retention_h: hours for which older versions can be read.
    """
    interval = f"interval {round(retention_h * 3600)} seconds"
    return {
        "delta.checkpointInterval": str(_COMMITS_BETWEEN_CHECKPOINTS),
        "delta.logRetentionDuration": interval,
        "delta.deletedFileRetentionDuration": interval,
    }


def addition(file: Written, *, data_change: bool) -> delta.Action:
    """The action of Delta's protocol that makes a file part of a table."""
    return {
        "add": {
            "path": file.path,
            "partitionValues": dict(part.split("=") for part in file.path.split("/")[:-1]),
            "size": file.size,
            "modificationTime": file.written_ms,
            "dataChange": data_change,
            "stats": json.dumps({"numRecords": file.records}),
        }
    }
