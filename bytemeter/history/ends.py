"""How far the commits of a table's writers have come: end offsets and the topic's id, as the table's log keeps them.

A commit carries them as Delta's transaction versions, which stay part of the table's state, and as a note in the log.
The writers of an earlier release have left only the note.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.history import delta
from bytemeter.history.restores import count_records, require_no_loss
from bytemeter.offset_log import Offsets

# In place of the number of a table's records.
_UNKNOWN = -1


@dataclass(frozen=True)
class Ends:
    """The end offsets of a table, and the topic that its messages came from.

    Attributes:
        table: folder or URI of the table.
        application: the application of Delta's transactions whose version is the sum of the end offsets.
    """

    session: SparkSession
    table: str
    application: str

    def offsets(self) -> Offsets:
        """Per partition the end offset of the last commit of a writer; empty without one.

        Raises:
            BytemeterError: the table does not hold what it should hold below them: an older version was brought back,
                or they are not known any more.
        """
        versions = self._versions()
        kept = self._kept(versions)
        if kept is None:
            return self._noted()
        self._require_no_loss(versions)
        return kept

    def are_kept(self) -> bool:
        """Whether they are part of the table's state."""
        return self._kept(self._versions()) is not None

    def topic_id(self) -> str | None:
        """The id of the topic whose messages the table holds; None if no commit has named it yet."""
        return next((name.removeprefix(self._topic) for name in self._versions() if name.startswith(self._topic)), None)

    def transactions(self, end: Offsets, *, after: Offsets, topic_id: str | None, added: int) -> delta.Transactions:
        """The transaction versions of a commit that ends at ``end``.

        Args:
            after: the end offsets of the last commit; empty if there is none.
            topic_id: of the topic that the messages came from; None for what is not from a topic.
            added: how many records the commit adds.

        Raises:
            BytemeterError: an older version of the table was brought back since the last commit of a writer.
        """
        versions = {f"{self.application}/{partition}": offset for partition, offset in end.items()}
        if topic_id is not None:
            versions[f"{self._topic}{topic_id}"] = 1
        held = self._held()
        versions[self._records] = _UNKNOWN if held is None else held + added
        total = sum(after.values()) if after else -1
        versions[self.application] = sum(end.values())
        return delta.Transactions(self.application, total, versions, self._place)

    @staticmethod
    def note(end: Offsets) -> str:
        """The note of a commit that ends at ``end``, unlike that of any other commit."""
        return json.dumps({"endOffsets": end, "commit": str(uuid.uuid4())})

    @property
    def _place(self) -> str:
        return f"{self.application}#version"

    @property
    def _topic(self) -> str:
        return f"{self.application}#topic/"

    @property
    def _records(self) -> str:
        return f"{self.application}#records"

    def _versions(self) -> Mapping[str, int]:
        return delta.transaction_versions(self.session, self.table)

    def _kept(self, versions: Mapping[str, int]) -> Offsets | None:
        """The end offsets in the table's state, as of one version of it; None if a writer has not left them there."""
        prefix = f"{self.application}/"
        ends = {int(name.removeprefix(prefix)): end for name, end in versions.items() if name.startswith(prefix)}
        return ends if ends and sum(ends.values()) == versions.get(self.application) else None

    def _held(self) -> int | None:
        """How many records the table holds; None if that is not known."""
        versions = self._versions()
        held = self._require_no_loss(versions)
        if held is None:
            held = count_records(self.session, self.table) if self.application in versions else 0
        return held

    def _require_no_loss(self, versions: Mapping[str, int]) -> int | None:
        """Require that nothing of the last commit of a writer is gone; returns how many records there are, if known."""
        if (since := versions.get(self._place)) is None:
            return None
        until, noted = delta.latest_version(self.session, self.table), versions.get(self._records, _UNKNOWN)
        return require_no_loss(
            self.session, self.table, since=since, until=until, noted=None if noted == _UNKNOWN else noted
        )

    def _noted(self) -> Offsets:
        """The end offsets that a writer of an earlier release has left in the log only, between the notes of others."""
        for note in delta.notes(self.session, self.table):
            if (noted := _read_note(note)) is not None:
                return noted
        if (
            delta.latest_version(self.session, self.table) > 0
            and delta.files(self.session, self.table).limit(1).count()
        ):
            raise BytemeterError(
                f"{self.table} has files, but no commit of its log says up to which offsets; "
                "start over with an empty BYTEMETER_HISTORY"
            )
        return {}


def _read_note(note: str) -> Offsets | None:
    """The end offsets that a commit's note has; None if it is a note of others."""
    try:
        ends = json.loads(note)["endOffsets"]
        return {int(partition): int(offset) for partition, offset in ends.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
