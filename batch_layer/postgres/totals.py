"""Replaces whole windows of a table of totals by recomputed and staged totals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Connection,
    Insert,
    Select,
    and_,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from batch_layer.postgres.staging import Staged
from bytemeter.feeds import Feed, TotalsTable
from bytemeter.sql import Statements
from bytemeter.totals_table import SqlTotals, value_type

SQL = Statements(__package__, "statements.sql")
DIFFERENCES_SHOWN = 20
_KEY = ("type", "start", "id")
_RECOMPUTED = table("recomputed", *(column(name) for name in (*_KEY, "value")))
_CHANGES = table("changes", *(column(name) for name in (*_KEY, "before", "after")))


@dataclass(frozen=True)
class Difference:
    """A total that the recompute changes; None where there was or is none."""

    type: str
    id: str
    timestamp: dt.datetime
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True)
class Compared:
    """How many totals change, and the first of the changes."""

    changed: int
    differences: tuple[Difference, ...]

    def __add__(self, other: Compared) -> Compared:
        return Compared(self.changed + other.changed, (self.differences + other.differences)[:DIFFERENCES_SHOWN])


def compare(
    connection: Connection, staged: Staged, feed: Feed, into: TotalsTable, windows: Sequence[dt.datetime]
) -> Compared:
    """Compare the staged totals with the rows of a table, in the caller's transaction.

    Reads the staged rows and the table; writes the temporary tables ``recomputed`` and ``changes``, which ``write``
    reads. For a feed with quotas the totals by e-mail address are added.

    Args:
        windows: the starts of the windows that are replaced.
    """
    connection.exec_driver_sql(SQL.raw("temporary_tables"))
    connection.execute(insert(_RECOMPUTED).from_select([*_KEY, "value"], _of_attempt(staged)))
    if feed.totals and feed.totals.quotas:
        quotas = feed.totals.quotas
        types = {"user_type": quotas.user_type, "email_type": quotas.email_type}
        connection.execute(SQL["add_totals_by_email"], types)
    connection.execute(_find_changes(SqlTotals.of(feed, into), windows))
    changed = connection.scalars(text("select count(*) from changes")).one()
    first = connection.execute(SQL["first_changes"], {"most": DIFFERENCES_SHOWN})
    return Compared(changed, tuple(Difference(*row) for row in first))


def write(connection: Connection, feed: Feed, into: TotalsTable) -> None:
    """Write the totals that change, and remove totals that are gone. Reads the temporary table ``changes``.

    Key: the table's primary key; done again it changes nothing.
    """
    target, changes = SqlTotals.of(feed, into), _CHANGES.c
    gone = and_(
        target.of_feed,
        *(target.table.c[name] == changes[key] for name, key in zip(_names(into), _KEY, strict=True)),
        changes.after.is_(None),
    )
    connection.execute(delete(target.table).where(gone))
    constants = dict(into.constants)
    rows = select(
        *(literal(value) for value in constants.values()),
        *(changes[key] for key in _KEY),
        cast(changes.after, value_type(feed)),
    ).where(changes.after.is_not(None))
    changed = upsert(target.table).from_select(
        [*constants, *_names(into), into.value], rows.order_by(*(changes[key] for key in _KEY))
    )
    connection.execute(
        changed.on_conflict_do_update(index_elements=target.key, set_={into.value: changed.excluded[into.value]})
    )


def _names(into: TotalsTable) -> tuple[str, str, str]:
    """The table's columns for type, start and id, in the order of ``_KEY``."""
    return (into.type, into.start, into.id)


def _of_attempt(staged: Staged) -> Select[Any]:
    rows = table(staged.table, *(column(name) for name in ("attempt", "type", "id", "window_s", "value")))
    return select(rows.c.type, func.to_timestamp(rows.c.window_s), rows.c.id, rows.c.value).where(
        rows.c.attempt == staged.attempt
    )


def _find_changes(target: SqlTotals, windows: Sequence[dt.datetime]) -> Insert:
    """Compare ``recomputed`` with the windows of the table, row by row."""
    names = _names(target.declared)
    old = select(target.table).where(target.of_feed, target.start.in_(list(windows))).subquery("old")
    new = _RECOMPUTED.alias("new")
    before = old.c[target.declared.value]
    joined = old.join(new, and_(*(old.c[name] == new.c[key] for name, key in zip(names, _KEY, strict=True))), full=True)
    keys = [func.coalesce(old.c[name], new.c[key]) for name, key in zip(names, _KEY, strict=True)]
    differing = select(*keys, before, new.c.value).select_from(joined).where(before.is_distinct_from(new.c.value))
    return insert(_CHANGES).from_select([*_KEY, "before", "after"], differing)
