"""Totals of windows: sums of the windows of five minutes and of the recomputed hours in each, in one snapshot.

A recomputed hour is taken from the batch view as long as no record has come for it since. All else is taken from the
live view: hours that wait for a recompute, and the part of an hour with which a day of e.g. Asia/Kolkata begins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from bytemeter.feeds import FEEDS, TotalsTable
from bytemeter.sql import Statements
from serving.api.reading import Prepared, Reading
from serving.api.zoned import FIVE_MINUTES, HOUR, Span

SQL = Statements(__package__, "totals.sql")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TWELFTHS = HOUR // FIVE_MINUTES
# Whether an hour is taken from the live view, by where totals come from. Where there is nothing but the batch view, an
# hour that waits for a recompute has what the last one has found.
_FROM_LIVE = {
    "live": "true",
    "batch": "false",
    "both": f"hours.dirty or parts.since > 0 or parts.until < {_TWELFTHS}",
}
# The instant whose totals a table is asked for.
_AT = {"live": "touched.hour + twelfths.n * interval '5 minutes'", "batch": "touched.hour"}


class Moment(NamedTuple):
    """When the snapshot was taken.

    Attributes:
        now: by PostgreSQL's clock.
        counted_at: the last micro-batch that it has; None before the first one.
    """

    now: dt.datetime
    counted_at: dt.datetime | None


class WindowTotals(msgspec.Struct, array_like=True, gc=False):
    """The totals of a window, in the order of ids.

    Attributes:
        number: of the window among those that were asked for.
        clean: whether a recompute has seen all of its records.
        from_live: whether a part of it is taken from the live view.
    """

    number: int
    clean: bool
    from_live: bool
    ids: list[str]
    values: list[int]


_WINDOWS = msgspec.json.Decoder(list[WindowTotals])


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


def moment(reading: Reading, feed: str) -> Moment:
    """When this snapshot was taken."""
    row = reading.execute(SQL["moment"], {"feed": feed}).one()
    return Moment(row.now, row.counted_at)


def totals(
    reading: Reading, which: Which, windows: Sequence[Span], *, live_only: bool, after: str, most: int
) -> tuple[Moment, list[WindowTotals]]:
    """The first totals of windows that follow one another, by one statement; windows without totals are left out.

    Args:
        live_only: whether recomputed hours are not taken.
        after: the id behind which those of the first window begin.
        most: how many totals at most.

    Of each hour as many ids are read as totals are asked for. That is enough: a total that is among the first of its
    window has in each hour less ids before it than that.
    """
    prepared = _prepared(which.feed, _source(which, live_only=live_only), one_id=which.id is not None)
    values = {"feed": which.feed, "type": which.type, "id": which.id, "after": after, "most": most}
    (row,) = reading.rows(prepared, {**values, **_by_hours(windows)})
    return Moment(row.now, row.counted_at), _WINDOWS.decode(row.windows or "[]")


def _source(which: Which, *, live_only: bool) -> str:
    declared = FEEDS[which.feed].totals
    if which.batch_only:
        return "batch"
    return "live" if live_only or declared is None or declared.hourly is None else "both"


def _by_hours(windows: Sequence[Span]) -> dict[str, Any]:
    """The windows hour by hour, as ``totals.sql`` takes them."""
    first = _EPOCH + (windows[0].start - _EPOCH) // HOUR * HOUR if windows else _EPOCH
    parts = []
    for number, window in enumerate(windows):
        since, until = (window.start - first) // FIVE_MINUTES, (window.end - first) // FIVE_MINUTES
        for hour in range(since // _TWELFTHS, -(-until // _TWELFTHS)):
            start = hour * _TWELFTHS
            parts.append((number, hour, max(since - start, 0), min(until - start, _TWELFTHS)))
    columns = zip(*parts, strict=True) if parts else ((), (), (), ())
    # Lists would cost the driver more than these texts.
    arrays = ("{" + ",".join(map(str, column)) + "}" for column in columns)
    return {"first": first, **dict(zip(("numbers", "hours", "sinces", "untils"), arrays, strict=True))}


@lru_cache(maxsize=100)
def _prepared(feed: str, source: str, *, one_id: bool) -> Prepared:
    declared = FEEDS[feed].totals
    tables = {"live": declared.live, "batch": declared.hourly} if declared else {}
    only = "and {id} = cast(:id as text)" if one_id else "order by {id} limit :most"
    rows = [
        _rows(name, table, only) for name, table in tables.items() if table is not None and source in (name, "both")
    ]
    statement = SQL.raw("totals").format(from_live=_FROM_LIVE[source], rows=" union all ".join(rows))
    name = f"totals_{feed.replace('-', '_')}_{source}_{'one' if one_id else 'all'}"
    return Prepared(name, text(statement))


def _rows(name: str, declared: TotalsTable, only: str) -> str:
    """The statement that reads from one table; the names and texts in it are those of the feed's declaration."""
    names = {"table": declared.name, "type": declared.type, "id": declared.id, "start": declared.start}
    of_feed = " and ".join(["true", *(f"{column} = '{value}'" for column, value in declared.constants)])
    only = only.format(**names)
    totals_at = SQL.raw("totals_at").format(**names, value=declared.value, of_feed=of_feed, at=_AT[name], only=only)
    return f"({SQL.raw(name).format(totals=totals_at)})"
