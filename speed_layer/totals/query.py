"""The live query of one feed's totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from bytemeter.aggregations import summed, totals
from bytemeter.feeds import Feed
from bytemeter.feeds.feed import HOUR_S
from bytemeter.plans.watermark import PartitionProgress
from speed_layer.accounts import accounts, list_invalid, repeated
from speed_layer.dedup.ids import Deduplicator, IdentifiedRecords
from speed_layer.engine.live_query import Account, Count
from speed_layer.executor.blocks import Parts, ToParts
from speed_layer.executor.totals import LIVE_WINDOWS, totals_parts
from speed_layer.postgres.copying import copy
from speed_layer.totals import merge
from speed_layer.totals.windows import YoungWindows


@dataclass
class TotalsQuery:
    """Totals of a feed's measure per dimension and window of five minutes, into the feed's live table."""

    feed: Feed
    _seen: Deduplicator = field(init=False, repr=False)
    _young: YoungWindows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._seen = Deduplicator(self.feed.name)
        self._young = YoungWindows(self.feed.usage.live_table, [d.type for d in self.feed.usage.dimensions])

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.feed.name

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The one feed."""
        return (self.feed,)

    def to_parts(self, feed: Feed) -> ToParts:
        """See ``speed_layer.executor.totals.totals_parts``."""
        return partial(totals_parts, feed)

    def open(self, connection: Connection) -> None:
        """Make the table of what is added."""
        connection.exec_driver_sql(merge.TEMPORARY_TABLES)

    def load(self, connection: Connection) -> None:
        """Read which ids were seen."""
        self._seen.load(connection)

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        """Look for ids that come again in the micro-batch itself."""
        parts = received[self.feed.name]
        with_id = parts.get("identified")
        identified = IdentifiedRecords.of(with_id) if with_id else None
        return partial(self._count, parts=parts, identified=identified)

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:  # noqa: ARG002
        """Nothing follows from how far the feed has come."""
        return False

    def rolled_back(self) -> None:
        """Nothing is remembered that a new start does not read again."""

    def committed(self) -> None:
        """Nothing waits for the commit."""

    def _count(self, connection: Connection, parts: Parts, identified: IdentifiedRecords | None) -> list[Account]:
        """Add the totals of all records that are no repeats; list invalid records, mark the hours as dirty."""
        name = self.feed.name
        added = [parts["totals"]]
        repeats: list[Account] = []
        if identified:
            records = parts["identified"]
            found = pa.array(self._seen.find_duplicates(connection, identified))
            repeats = repeated(name, records.filter(found))
            added.append(totals(self.feed, records.filter(pc.invert(found)), LIVE_WINDOWS))
        self._add(connection, summed(pa.concat_tables(added)))
        list_invalid(connection, name, parts["invalid"])
        self._seen.finish(connection)
        return [*accounts(name, parts["received"]), *repeats]

    def _add(self, connection: Connection, added: pa.Table) -> None:
        """Add totals to the live table, and mark their hours."""
        # In the order of the primary key: neighbours on a page are then touched together.
        rows = added.sort_by([(name, "ascending") for name in ("type", "window_s", "id")])
        new = pa.array(self._young.new(connection, rows))
        copy(connection, self.feed.usage.live_table, merge.as_windows(rows.filter(new)))
        copy(connection, "added", rows.filter(pc.invert(new)))
        connection.execute(merge.add_totals(self.feed.usage.live_table))
        hours = pc.unique(pc.divide(rows.column("window_s"), HOUR_S))
        connection.execute(merge.MARK_HOURS, {"feed": self.feed.name, "hours": hours.to_pylist()})
