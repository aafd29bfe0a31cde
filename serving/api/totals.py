"""Totals of windows: sums of the windows of five minutes and of the recomputed hours in each, in one snapshot.

A recomputed hour is taken from the batch view as long as no record has come for it since. All else is taken from the
live view: hours that wait for a recompute, and the part of an hour with which a day of e.g. Asia/Kolkata begins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bytemeter.feeds import FEEDS, TotalsTable
from bytemeter.sql import Statements
from bytemeter.totals_table import SqlTotals
from serving.api.zoned import FIVE_MINUTES, HOUR, Span

SQL = Statements(__package__, "totals.sql")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Total(NamedTuple):
    """A total: of the window with this number, and of an id."""

    window: int
    id: str
    value: Any


class Moment(NamedTuple):
    """When the snapshot was taken.

    Attributes:
        now: by PostgreSQL's clock.
        counted_at: the last micro-batch that it has; None before the first one.
    """

    now: dt.datetime
    counted_at: dt.datetime | None


class Hour(NamedTuple):
    """An hour with records.

    Attributes:
        clean: whether a recompute has seen all of its records.
    """

    start: dt.datetime
    clean: bool


@dataclass(frozen=True)
class Pieces:
    """What the totals of some windows are made of: starts of live windows and of recomputed hours, by window's number.

    Attributes:
        clean: by window whether a recompute has seen all of its records.
    """

    live: list[tuple[int, dt.datetime]]
    batch: list[tuple[int, dt.datetime]]
    clean: list[bool]

    def __len__(self) -> int:
        return len(self.live) + len(self.batch)

    @property
    def from_live(self) -> set[int]:
        """The windows of which a part is taken from the live view."""
        return {number for number, _ in self.live}


def moment(connection: Connection, feed: str) -> Moment:
    """When this snapshot was taken."""
    row = connection.execute(SQL["moment"], {"feed": feed}).one()
    return Moment(row.now, row.counted_at)


def hours_between(connection: Connection, feed: str, span: Span) -> list[Hour]:
    """The hours with records that touch a span, in order."""
    since = _EPOCH + (span.start - _EPOCH) // HOUR * HOUR
    rows = connection.execute(SQL["hours"], {"feed": feed, "since": since, "until": span.end})
    return [Hour(row.hour, row.clean) for row in rows]


def pieces(windows: Sequence[Span], hours: Iterable[Hour], *, has_batch: bool, batch_only: bool = False) -> Pieces:
    """What the totals of windows, in order and without gaps between them, are made of.

    Args:
        has_batch: whether recomputed hours can be taken.
        batch_only: whether there is nothing else: of an hour that waits for a recompute what the last one has found.
    """
    made = Pieces([], [], [True] * len(windows))
    number = 0
    for hour in hours:
        end = hour.start + HOUR
        while windows[number].end <= hour.start:
            number += 1
        for touched in range(number, len(windows)):
            window = windows[touched]
            if window.start >= end:
                break
            made.clean[touched] &= hour.clean
            whole = window.start <= hour.start and end <= window.end
            if batch_only or (hour.clean and whole and has_batch):
                made.batch.append((touched, hour.start))
            else:
                made.live.extend((touched, start) for start in _starts(hour.start, window))
    return made


def _starts(hour: dt.datetime, window: Span) -> Iterator[dt.datetime]:
    """The live windows of an hour that lie in a window."""
    start, end = max(hour, window.start), min(hour + HOUR, window.end)
    while start < end:
        yield start
        start += FIVE_MINUTES


@dataclass(frozen=True)
class Which:
    """Which totals are asked for.

    Attributes:
        feed, type: the name of the feed, and the type of a dimension.
        id: of the only total of each window; None for all.
    """

    feed: str
    type: str
    id: str | None = None

    @property
    def batch_only(self) -> bool:
        """Whether only recomputes add these totals up."""
        declared = FEEDS[self.feed].totals
        return declared is not None and self.type not in declared.types


def totals(connection: Connection, which: Which, made_of: Pieces, after: Mapping[int, str], most: int) -> list[Total]:
    """The first totals, in the order of windows and ids.

    Args:
        after: by window the id behind which its totals begin.
        most: how many totals at most.

    Of each piece as many ids are read as totals are asked for. That is enough: a total that is among the first of its
    window has in each piece less ids before it than that.
    """
    statement = _statement(which.feed, which.id is not None, bool(made_of.live), bool(made_of.batch))
    values = {
        "type": which.type,
        "id": which.id,
        "most": most,
        **_arrays("live", made_of.live, after),
        **_arrays("batch", made_of.batch, after),
    }
    return [Total(*row) for row in connection.execute(statement, values)]


def _arrays(name: str, parts: list[tuple[int, dt.datetime]], after: Mapping[int, str]) -> dict[str, Any]:
    return {
        f"{name}_windows": [number for number, _ in parts],
        f"{name}_starts": [start for _, start in parts],
        f"{name}_afters": [after.get(number, "") for number, _ in parts],
    }


@lru_cache(maxsize=100)
def _statement(feed: str, one_id: bool, live: bool, batch: bool) -> Select[Any]:
    declared = FEEDS[feed].totals
    parts = [_part(feed, declared.live, "live", one_id)] if live and declared else []
    if batch and declared and declared.hourly:
        parts.append(_part(feed, declared.hourly, "batch", one_id))
    read = union_all(*parts).subquery()
    window, id_ = read.c.window, read.c.id
    grouped = select(window, id_, func.sum(read.c.value)).group_by(window, id_).order_by(window, id_)
    return grouped.limit(bindparam("most", type_=BigInteger))


def _part(feed: str, declared: TotalsTable, name: str, one_id: bool) -> Select[Any]:
    """The rows of the pieces that come from one table: window, id, value."""
    totals_ = SqlTotals.of(FEEDS[feed], declared)
    asked = func.unnest(
        cast(bindparam(f"{name}_windows"), ARRAY(Integer)),
        cast(bindparam(f"{name}_starts"), ARRAY(TIMESTAMP(timezone=True))),
        cast(bindparam(f"{name}_afters"), ARRAY(Text)),
    ).table_valued(column("window", Integer), column("start", TIMESTAMP(timezone=True)), column("after", Text))
    asked = asked.render_derived(f"{name}_pieces")
    rows = select(totals_.id.label("id"), totals_.value.label("value")).where(
        totals_.of_feed,
        totals_.type == bindparam("type", type_=Text),
        totals_.start == asked.c.start,
        totals_.id > asked.c.after,
    )
    if one_id:
        rows = rows.where(totals_.id == bindparam("id", type_=Text))
    else:
        rows = rows.order_by(totals_.id).limit(bindparam("most", type_=BigInteger))
    found = rows.lateral(f"{name}_rows")
    return select(asked.c.window, found.c.id, found.c.value).select_from(asked.join(found, true()))
