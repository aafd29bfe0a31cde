"""The live query of one feed's totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.parsing import parse
from speed_layer.copying import copy
from speed_layer.live_query import Account, Position
from speed_layer.received import accounts, list_invalid, repeated, valid
from speed_layer.seen.ids import Identified, SeenIds
from speed_layer.usage import merge
from speed_layer.usage.rows import totals, usage_rows


@dataclass
class UsageQuery:
    """Totals of a feed's measure per dimension and window of five minutes, into the feed's live table."""

    feed: Feed
    _seen: SeenIds = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._seen = SeenIds(self.feed.name)

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.feed.name

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The one feed."""
        return (self.feed,)

    def rows(self, feed: Feed, messages: DataFrame) -> DataFrame:
        """See ``speed_layer.usage.rows.usage_rows``."""
        return messages.transform(parse(feed, judged_at=F.current_timestamp())).transform(usage_rows(feed))

    def open(self, connection: Connection) -> None:
        """Make the table of what is added, and load which ids were seen."""
        connection.exec_driver_sql(merge.TEMPORARY_TABLES)
        self._seen.load(connection)

    def count(self, connection: Connection, rows: Mapping[str, pa.Table]) -> list[Account]:
        """Add the totals of all records that are no repeats; list invalid records, mark the hours as dirty."""
        of_feed = {"feed": self.feed.name}
        received = rows[self.feed.name]
        records, repeats = self._set_repeats_apart(connection, valid(received))
        copy(connection, "added", totals(self.feed, records))
        connection.execute(merge.add_totals(self.feed.usage.live_table))
        connection.execute(merge.MARK_HOURS, of_feed)
        list_invalid(connection, self.feed.name, received)
        return [*accounts(self.feed.name, received), *repeats]

    def settle(self, connection: Connection, positions: Mapping[str, Mapping[int, Position]]) -> bool:  # noqa: ARG002
        """Nothing follows from how far the feed has come."""
        return False

    def rolled_back(self) -> None:
        """Nothing is remembered that a new start does not read again."""

    def committed(self) -> None:
        """Nothing waits for the commit."""

    def _set_repeats_apart(self, connection: Connection, records: pa.Table) -> tuple[pa.Table, list[Account]]:
        """The records less the repeats among those that carry an id, and the repeats' account."""
        if not self.feed.event_id:
            return records, []
        identified = pc.is_valid(records.column("id_hash"))
        with_id = records.filter(identified)
        if not with_id.num_rows:
            return records, []
        repeats = pa.array(self._seen.set_apart(connection, Identified.of(with_id)))
        again = with_id.filter(repeats)
        if not again.num_rows:
            return records, []
        without_id = records.filter(pc.invert(identified))
        return pa.concat_tables([without_id, with_id.filter(pc.invert(repeats))]), repeated(self.feed.name, again)
