"""Finds duplicates exactly: the records of a micro-batch whose event id was counted before in the same event hour.

A lookup asks the hours of the micro-batch alone (``speed_layer.dedup.seen``). Their filters in memory
(``speed_layer.dedup.filter``) show for nearly all ids that they are new; the few others are looked up in the segments
that may contain them. Records behind the horizon (``speed_layer.dedup.horizon``) are not looked up.

"The same id" means here: the same event id in the same event hour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection

from bytemeter.hashing import Mask
from speed_layer.dedup.filter import Indexes
from speed_layer.dedup.horizon import Horizon
from speed_layer.dedup.identified import IdentifiedRecords
from speed_layer.dedup.packs import Entries
from speed_layer.dedup.seen import SeenIds
from speed_layer.postgres.copying import copy


class Judged(NamedTuple):
    """What was found out about each record of a micro-batch.

    Attributes:
        duplicate: whether it is a duplicate.
        behind: whether its event hour is behind the horizon. Such a record is no duplicate, whatever its id.
    """

    duplicate: Mask
    behind: Mask


@dataclass
class Deduplicator:
    """Judges the records of a feed by the event ids that were counted.

    It follows the transactions of one connection. After a rollback it must be discarded: it still knows the ids of that
    transaction. What it keeps depends on the records that this process counts: those of other partitions need not pass
    through it.

    Full segments are written by another thread and connection, in transactions that commit before that of the
    micro-batch. They become ``counted`` only with a micro-batch; the next start of the feed removes those that did not.
    """

    horizon: Horizon
    _seen: SeenIds = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._seen = SeenIds(self.horizon)

    def load(self, connection: Connection) -> None:
        """See ``SeenIds.load``."""
        self._seen.load(connection)

    def find_duplicates(self, connection: Connection, records: IdentifiedRecords) -> Judged:
        """Judge each record; the ids of records that are neither duplicates nor behind the horizon are stored.

        Of equal ids the one counted first stays; within one micro-batch that is the one with the lowest (partition,
        offset). Duplicates are listed in ``duplicate_events``, as conflicts where the content differs. Call ``finish``
        before the transaction ends.
        """
        self._seen.begin(connection)
        behind = records.before(self._seen.first_hour)
        within = {hour: rows for hour, rows in records.rows_by_hour.items() if not behind[rows[0]]}
        seen_rows, seen_entries = self._seen.lookup(connection, records.keys, records.entries, within)
        # All rows of an id that was counted before are among seen_rows already.
        remaining = ~np.isin(records.duplicate_rows, seen_rows) & ~behind[records.duplicate_rows]
        duplicate_rows = np.concatenate([seen_rows, records.duplicate_rows[remaining]])
        first_entries = np.concatenate([seen_entries, records.entries[records.first_rows[remaining]]])
        duplicate = np.zeros(len(records.entries), bool)
        duplicate[duplicate_rows] = True
        new = {hour: rows[~duplicate[rows]] for hour, rows in within.items()}
        self._seen.store(connection, records.keys, records.entries, new)
        self._list_duplicates(connection, records, duplicate_rows, first_entries)
        return Judged(duplicate, behind)

    def finish(self, connection: Connection) -> None:
        """See ``SeenIds.finish``."""
        self._seen.finish(connection)

    def _list_duplicates(
        self, connection: Connection, records: IdentifiedRecords, duplicate_rows: Indexes, first_entries: Entries
    ) -> None:
        """Append duplicates to ``duplicate_events``, each with the record that was counted."""
        duplicates = records.entries[duplicate_rows]
        columns = {
            "feed": pa.array([self.horizon.feed] * len(duplicates), pa.string()),
            "partition": duplicates["partition"].astype(np.int32),
            "record_offset": duplicates["offset"].astype(np.int64),
            "event_time": pa.array(records.event_us[duplicate_rows] // 1_000_000, pa.timestamp("s", "UTC")),
            "first_partition": first_entries["partition"].astype(np.int32),
            "first_offset": first_entries["offset"].astype(np.int64),
            "conflict": first_entries["content"] != duplicates["content"],
        }
        copy(connection, "duplicate_events", pa.table(columns))
