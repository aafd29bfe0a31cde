"""The live table of a feed's totals: totals that are new are copied into it, the others are added to its rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, exists, func, literal, select
from sqlalchemy.dialects.postgresql import array, insert

from bytemeter.feeds import Feed
from bytemeter.totals_table import SqlTotals, value_type
from speed_layer.postgres.copying import copy


@dataclass(frozen=True)
class LiveTable:
    """The statements on a feed's live table. Its rows are totals by window, keyed by type, id and start.

    Attributes:
        live: the live table.
        types: the types of the feed's totals.
        added: a temporary table: the totals that are to be added to rows of the live table.
    """

    live: SqlTotals
    types: list[str]
    added: Table

    @staticmethod
    def of(feed: Feed) -> LiveTable:
        """The live table of a feed that has totals."""
        if feed.totals is None:
            raise ValueError(f"feed {feed.name} has no totals")
        added = Table(
            "added",
            MetaData(),
            Column("type", Text(collation="C"), nullable=False),
            Column("id", Text(collation="C"), nullable=False),
            Column("window_s", BigInteger, nullable=False),
            Column("value", value_type(feed), nullable=False),
            prefixes=["TEMPORARY"],
            postgresql_on_commit="DELETE ROWS",
        )
        return LiveTable(SqlTotals.of(feed, feed.totals.live), feed.totals.types, added)

    def open(self, connection: Connection) -> None:
        """Create the temporary table of the session."""
        self.added.create(connection)

    def copy(self, connection: Connection, totals: pa.Table) -> None:
        """Copy totals that the live table does not have yet.

        Args:
            totals: rows of ``bytemeter.aggregations.totals``, each key once.

        Raises:
            IntegrityError: the live table has one of them.
        """
        copy(connection, self.live.declared.name, self._rows(totals))

    def add(self, connection: Connection, totals: pa.Table) -> None:
        """Add totals to the rows of the live table, in the order of ``totals``; missing rows are inserted."""
        copy(connection, "added", totals)
        live, added = self.live, self.added.c
        constants = dict(live.declared.constants)
        rows = select(
            *(literal(text) for text in constants.values()),
            added.type, added.id, func.to_timestamp(added.window_s), added.value,
        )  # fmt: skip
        names = [*constants, live.declared.type, live.declared.id, live.declared.start, live.declared.value]
        adding = insert(live.table).from_select(names, rows)
        connection.execute(
            adding.on_conflict_do_update(
                index_elements=live.key,
                set_={live.declared.value: live.value + adding.excluded[live.declared.value]},
            )
        )

    def begun(self, connection: Connection, windows: Collection[int]) -> set[int]:
        """Which of the windows, given by their starts in seconds since 1970, have a row in the live table."""
        window = func.unnest(array(list(windows), type_=BigInteger)).table_valued("window_s").render_derived(name="w")
        rows = exists().where(
            self.live.of_feed,
            self.live.type.in_(self.types),
            self.live.start == func.to_timestamp(window.c.window_s),
        )
        return set(connection.scalars(select(window.c.window_s).where(rows)))

    def _rows(self, totals: pa.Table) -> pa.Table:
        """Totals as rows of the live table, their timestamps as texts."""
        declared = self.live.declared
        starts = totals.column("window_s").combine_chunks().dictionary_encode()
        # Windows are few: each timestamp is written once, not once for each total.
        texts = pc.strftime(starts.dictionary.cast(pa.timestamp("s", "UTC")), "%Y-%m-%d %H:%M:%S%z")
        columns = {name: pa.array([text] * totals.num_rows, pa.string()) for name, text in declared.constants}
        columns |= {declared.type: totals.column("type"), declared.id: totals.column("id")}
        columns |= {declared.start: texts.take(starts.indices), declared.value: totals.column("value")}
        return pa.table(columns)
