"""Replaces whole windows of a table of totals (type, id, timestamp, value) by what was recomputed and staged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Insert,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    column,
    delete,
    func,
    select,
    table,
    text,
)
from sqlalchemy import Column as SqlColumn
from sqlalchemy.dialects.postgresql import insert

from batch_layer.postgres.staging import Staged

DIFFERENCES_SHOWN = 20
_KEY = ("type", "timestamp", "id")


@dataclass(frozen=True)
class Difference:
    """A total that the recompute changes; None where there was or is none."""

    type: str
    id: str
    timestamp: dt.datetime
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Compared:
    """How many totals change, and the first of them."""

    changed: int
    differences: tuple[Difference, ...]


def compare(connection: Connection, staged: Staged, into: str, windows: Sequence[dt.datetime]) -> Compared:
    """Compare the staged totals with those of the windows; leaves them in the temporary tables that ``write`` reads.

    Totals by e-mail are added: those of the users that ``user_metadata`` knows.
    """
    recomputed = _of_attempt(staged)
    connection.exec_driver_sql(_TEMPORARY_TABLES)
    connection.execute(_RECOMPUTED.from_select([*_KEY, "value"], recomputed))
    connection.execute(_EMAILS)
    connection.execute(_changes(into, windows))
    changed = connection.scalars(text("select count(*) from changes")).one()
    first = connection.execute(_FIRST_CHANGES, {"most": DIFFERENCES_SHOWN})
    return Compared(changed, tuple(Difference(*row) for row in first))


def write(connection: Connection, into: str) -> None:
    """Write the totals that change, and remove those that are gone."""
    target, changes = _totals(into), table("changes", *(column(name) for name in (*_KEY, "after")))
    same = and_(*(target.c[name] == changes.c[name] for name in _KEY))
    connection.execute(delete(target).where(same, changes.c.after.is_(None)))
    rows = select(*(changes.c[name] for name in (*_KEY, "after"))).where(changes.c.after.is_not(None))
    changed = insert(target).from_select([*_KEY, "value"], rows.order_by(*(changes.c[name] for name in _KEY)))
    connection.execute(changed.on_conflict_do_update(index_elements=list(_KEY), set_={"value": changed.excluded.value}))


def _of_attempt(staged: Staged) -> Select[Any]:
    rows = table(staged.table, *(column(name) for name in ("attempt", "type", "id", "window_s", "value")))
    return select(rows.c.type, func.to_timestamp(rows.c.window_s), rows.c.id, rows.c.value).where(
        rows.c.attempt == staged.attempt
    )


def _changes(into: str, windows: Sequence[dt.datetime]) -> Insert:
    target = _totals(into)
    old = select(target).where(target.c.timestamp.in_(list(windows))).subquery("old")
    new = _totals("recomputed").alias("new")
    joined = old.join(new, and_(*(old.c[name] == new.c[name] for name in _KEY)), full=True)
    keys = [func.coalesce(old.c[name], new.c[name]) for name in _KEY]
    differing = select(*keys, old.c.value, new.c.value).select_from(joined)
    into_changes = insert(table("changes", *(column(name) for name in (*_KEY, "before", "after"))))
    return into_changes.from_select(
        [*_KEY, "before", "after"], differing.where(old.c.value.is_distinct_from(new.c.value))
    )


def _totals(name: str) -> Table:
    return Table(
        name,
        MetaData(),
        SqlColumn("type", Text),
        SqlColumn("id", Text),
        SqlColumn("timestamp", DateTime(timezone=True)),
        SqlColumn("value", BigInteger),
    )


_TEMPORARY_TABLES = """
create temporary table recomputed (
    type text collate "C", id text collate "C", timestamp timestamptz, value bigint
) on commit drop;

create temporary table changes (
    type text collate "C", id text collate "C", timestamp timestamptz, before bigint, after bigint
) on commit drop;
"""

_RECOMPUTED = insert(_totals("recomputed"))

_EMAILS = text("""
insert into recomputed (type, id, timestamp, value)
select 'email_bytes_total', u.email, r.timestamp, r.value
from recomputed as r
inner join user_metadata as u on u.id = r.id
where r.type = 'user_bytes_total'
""")

_FIRST_CHANGES = text("select type, id, timestamp, before, after from changes order by timestamp, type, id limit :most")
