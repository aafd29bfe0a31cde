"""The statements that add a micro-batch's totals to those of a feed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger, ColumnClause, DateTime, TableClause, Text, column, func, select, table, text
from sqlalchemy.dialects.postgresql import Insert, insert

TEMPORARY_TABLES = """
create temporary table added (
    type text collate "C" not null,
    id text collate "C" not null,
    window_s bigint not null,
    value bigint not null
) on commit delete rows
"""

# Hours are counted from 1970.
MARK_HOURS = text("""
insert into hours (feed, hour)
select :feed, to_timestamp(3600 * number) as hour
from unnest(cast(:hours as bigint [])) as h (number)
order by hour
on conflict (feed, hour) do update set version = hours.version + 1
""")


def as_windows(totals: pa.Table) -> pa.Table:
    """Totals as rows of a live table, their timestamps as texts."""
    starts = totals.column("window_s").combine_chunks().dictionary_encode()
    # Windows are few: a timestamp is written once for each, and not for each total.
    texts = pc.strftime(starts.dictionary.cast(pa.timestamp("s", "UTC")), "%Y-%m-%d %H:%M:%S%z")
    return totals.set_column(totals.schema.get_field_index("window_s"), "timestamp", texts.take(starts.indices))


def add_totals(live_table: str) -> Insert:
    """Add what is in ``added`` to the windows of a live table (type, id, timestamp, value)."""
    added = _totals("added", column("window_s", BigInteger))
    into = _totals(live_table, column("timestamp", DateTime(timezone=True)))
    rows = select(added.c.type, added.c.id, func.to_timestamp(added.c.window_s), added.c.value)
    add = insert(into).from_select(["type", "id", "timestamp", "value"], rows)
    return add.on_conflict_do_update(
        index_elements=["type", "timestamp", "id"], set_={"value": into.c.value + add.excluded.value}
    )


def _totals(name: str, time: ColumnClause[Any]) -> TableClause:
    return table(name, column("type", Text), column("id", Text), time, column("value", BigInteger))
