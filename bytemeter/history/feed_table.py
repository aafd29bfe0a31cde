"""What the Delta tables of a feed have alike: how they are made, commits of their writers, and properties."""

from __future__ import annotations

import datetime as dt
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.history import delta
from bytemeter.history.ends import Ends
from bytemeter.history.writing import Written
from bytemeter.offset_log import Offsets

RETENTION_H = 168.0
# Others list the log from its last checkpoint on, and read the commits since.
_COMMITS_BETWEEN_CHECKPOINTS = 50


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
        """All columns, also those by which it is partitioned."""

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
        """The columns, after optional columns of a later release were added."""
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
        return self._ends.offsets()

    def topic_id(self) -> str | None:
        """The id of the topic whose messages the table holds; None if no commit has named it yet."""
        return self._ends.topic_id()

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
        ends, added = self._ends, list(files)
        records = sum(file.records for file in added)
        delta.append(
            self.session,
            self.path,
            [addition(file, data_change=True) for file in added],
            transactions=ends.transactions(end, after=after, topic_id=topic_id, added=records),
            partitioned_by=self.partitioned_by,
            note=ends.note(end),
        )

    def keep_end_offsets(self) -> None:
        """Make the end offsets part of the table's state, if a writer of an earlier release has left them in the log.

        Other commits hide them there, and the log is deleted in the end.

        Raises:
            BytemeterError: a writer has committed at the same time.
        """
        if not self._ends.are_kept() and (ends := self.end_offsets()):
            self.append([], ends, after=ends)

    @property
    def _ends(self) -> Ends:
        return Ends(self.session, self.path, self.application)

    def read(self) -> DataFrame:
        """All rows, as of the latest commit."""
        return self.session.read.format("delta").load(self.path)


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
