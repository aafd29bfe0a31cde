"""The live query of one feed's totals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from bytemeter.aggregations import summed, totals
from bytemeter.billing.zone import hold_billing_zone
from bytemeter.feeds import Feed, Totals
from bytemeter.plans.watermark import PartitionProgress
from bytemeter.sql import Statements
from bytemeter.windows import BillingMonth
from speed_layer.accounts import accounts, judged_accounts, list_invalid
from speed_layer.dedup.horizon import DEFAULT, Horizon
from speed_layer.dedup.identified import IdentifiedRecords
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_query import Account, Count
from speed_layer.executor.blocks import Parts, ToParts
from speed_layer.executor.totals import event_hours, totals_parts
from speed_layer.totals.table import LiveTable
from speed_layer.totals.windows import YoungWindows

SQL = Statements(__package__, "statements.sql")


class Counted(NamedTuple):
    """What a transaction has counted of a micro-batch.

    Attributes:
        duplicates: partition: int and record_offset: long of each duplicate.
    """

    accounts: list[Account]
    duplicates: pa.Table


CountTotals = Callable[[Connection], Counted]
_NO_DUPLICATES = pa.table({"partition": pa.array([], pa.int32()), "record_offset": pa.array([], pa.int64())})


@dataclass
class TotalsQuery:
    """Adds up a feed's measure per dimension and window, into the feed's live table.

    Attributes:
        identity_horizon: how far behind the watermark records are deduplicated, unless the feed has its own horizon.
    """

    feed: Feed
    identity_horizon: dt.timedelta = DEFAULT
    _totals: Totals = field(init=False, repr=False)
    _table: LiveTable = field(init=False, repr=False)
    _dedup: Deduplicator = field(init=False, repr=False)
    _young: YoungWindows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.feed.totals is None:
            raise ValueError(f"feed {self.feed.name} has no totals")
        self._totals = self.feed.totals
        self._table = LiveTable.of(self.feed)
        self._dedup = Deduplicator(Horizon.of(self.feed, self.identity_horizon))
        self._young = YoungWindows(self._table)

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
        """Create the session's temporary table."""
        self._table.open(connection)

    def load(self, connection: Connection) -> None:
        """Read which event ids were counted; note in which billing zone months are counted, if they are.

        Raises:
            BytemeterError: they were counted in another zone.
        """
        if isinstance(self._totals.live.window, BillingMonth):
            hold_billing_zone(connection, self._totals.live.window.zone)
        self._dedup.load(connection)

    def prepare(self, received: Mapping[str, Parts]) -> Count:
        """Find duplicates inside the micro-batch itself."""
        count = self.prepared(received)
        return lambda connection: count(connection).accounts

    def prepared(self, received: Mapping[str, Parts]) -> CountTotals:
        """As ``prepare``, for a query that needs to know which records are duplicates."""
        parts = received[self.feed.name]
        identified = IdentifiedRecords.of(parts["identified"]) if "identified" in parts else None
        return partial(self._count, parts=parts, identified=identified)

    def on_progress(self, connection: Connection, progress: Mapping[str, Mapping[int, PartitionProgress]]) -> bool:  # noqa: ARG002
        """Nothing depends on how far the feed has come."""
        return False

    def rolled_back(self) -> None:
        """Nothing is kept in memory that the next start does not read again."""

    def committed(self) -> None:
        """Nothing waits for the commit."""

    def _count(self, connection: Connection, parts: Parts, identified: IdentifiedRecords | None) -> Counted:
        """Count a micro-batch: deduplicate, add totals, mark hours and billing months dirty, list invalid messages."""
        added, hours = [parts["totals"]], [parts["hours"].column("hour")]
        judged_as: list[Account] = []
        duplicates = _NO_DUPLICATES
        if identified:
            records = parts["identified"]
            judged = self._dedup.find_duplicates(connection, identified)
            judged_as = judged_accounts(self.feed.name, records, judged)
            new = records.filter(pa.array(~judged.duplicate))
            duplicates = records.select(_NO_DUPLICATES.column_names).filter(pa.array(judged.duplicate))
            added.append(totals(self.feed, new, self._totals.live.window))
            hours.append(event_hours(new.column("event_us")))
        counted = summed(pa.concat_tables(added))
        self._add(connection, counted)
        if isinstance(self._totals.live.window, BillingMonth) and counted.num_rows:
            connection.execute(SQL["mark_months"], {"months": pc.unique(counted.column("window_s")).to_pylist()})
        dirty = {hour for column in hours for hour in column.to_pylist()}
        connection.execute(SQL["mark_hours"], {"feed": self.feed.name, "hours": list(dirty)})
        list_invalid(connection, self.feed.name, parts["invalid"])
        self._dedup.finish(connection)
        return Counted([*accounts(self.feed.name, parts["received"]), *judged_as], duplicates)

    def _add(self, connection: Connection, added: pa.Table) -> None:
        """Copy the totals that are surely new into the live table, and add the others."""
        # In the order of the primary key: neighbours on a page are touched together.
        rows = added.sort_by([(name, "ascending") for name in ("type", "window_s", "id")])
        is_new = pa.array(self._young.new(connection, rows))
        self._table.copy(connection, rows.filter(is_new))
        self._table.add(connection, rows.filter(pc.invert(is_new)))
