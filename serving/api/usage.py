"""The totals of a feed's dimension in windows of a zone, page by page."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from bytemeter.feeds import FEEDS
from serving.api.parameters import Place, place_of, start_of
from serving.api.totals import Moment, Pieces, Total, Which, hours_between, moment, pieces, totals
from serving.api.zoned import FIVE_MINUTES, Span, windows

# Rows that a statement reads, about: that depends on how many ids a window has, which was noted by feed and type.
_ROWS_AT_ONCE = 30_000
_LEAST_PIECES, _MOST_PIECES = 60, 3_000
# Windows differ: so many times the rows that the page lacks are looked for.
_SPARE = 1.25
_ids_seen: dict[tuple[str, str], float] = {}
# Looking for totals ends after this time, and the next page goes on.
_MOST_S = 2.0


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        unit: of the windows, a name of ``zoned.UNITS``.
        since, until: the windows start in [since, until); in UTC.
        after: where the page before has ended.
        limit: rows at most.
    """

    which: Which
    unit: str
    zone: ZoneInfo
    since: dt.datetime
    until: dt.datetime
    after: Place | None
    limit: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """A total, as the API shows it.

    Attributes:
        timestamp: the start of the window, in the zone.
        value: a number; money is a text.
        source: ``batch`` if all of it was recomputed, else ``live``.
        final: whether the window is over, and a recompute has seen all of its records. A late record still changes it.
    """

    type: str
    id: str
    timestamp: str
    value: int | str
    source: str
    final: bool


class Page(NamedTuple):
    """Rows of one snapshot, and where the next page begins; None after the last one."""

    as_of: dt.datetime | None
    rows: list[Row]
    next: Place | None


def usage(question: Question, clock: Callable[[], float] = time.monotonic) -> Callable[[Connection], Page]:
    """The question for a snapshot."""
    return lambda connection: _Paging(question, connection, clock).page()


class _Paging:
    """Reads windows, some at a time, until the page is full or its time is over."""

    def __init__(self, question: Question, connection: Connection, clock: Callable[[], float]) -> None:
        self._question, self._connection = question, connection
        self._clock, self._end = clock, clock() + _MOST_S
        self._rows: list[Row] = []

    def page(self) -> Page:
        question = self._question
        now = moment(self._connection, question.which.feed)
        since = max(question.since, start_of(question.after)) if question.after else question.since
        ahead = windows(question.unit, question.zone, since, question.until)
        while some := self._some(ahead):
            made_of, found = self._read(some)
            self._rows += self._shown(some, made_of, found, now)
            if len(self._rows) > question.limit:
                return self._cut(now)
            self._note_ids(found)
            if self._clock() > self._end:
                return Page(now.counted_at, self._rows, self._place_behind(some))
        return Page(now.counted_at, self._rows, None)

    def _note_ids(self, found: list[Total]) -> None:
        """Note how many ids a window has; what was cut off tells nothing, and quiet windows little."""
        which = self._question.which
        if found and not which.id:
            seen = max(Counter(total.window for total in found).values())
            _ids_seen[which.feed, which.type] = max(seen, 0.9 * _ids_seen.get((which.feed, which.type), 0.0))

    def _ids(self) -> float:
        """How many ids a window has, about; as many as are asked for where that is not known."""
        which, limit = self._question.which, self._question.limit
        return 1.0 if which.id else max(min(_ids_seen.get((which.feed, which.type), limit), limit), 1)

    def _some(self, ahead: Iterator[Span]) -> list[Span]:
        """The next windows, at least one: as many as fill the page, unless a statement would read too many rows."""
        first, ids = list(islice(ahead, 1)), self._ids()
        pieces_at_once = min(max(int(_ROWS_AT_ONCE / ids), _LEAST_PIECES), _MOST_PIECES)
        count = pieces_at_once * FIVE_MINUTES // (first[0].end - first[0].start) if first else 0
        to_fill = _SPARE * (self._question.limit - len(self._rows)) / ids
        return first + list(islice(ahead, min(max(count - 1, 0), int(to_fill))))

    def _read(self, some: list[Span]) -> tuple[Pieces, list[Total]]:
        which = self._question.which
        declared = FEEDS[which.feed].totals
        hours = hours_between(self._connection, which.feed, Span(some[0].start, some[-1].end))
        has_batch = declared is not None and declared.hourly is not None
        made_of = pieces(some, hours, has_batch=has_batch and self._question.unit != "5m", batch_only=which.batch_only)
        if not len(made_of):
            return made_of, []
        after = self._question.after
        behind = {0: after[1]} if after and start_of(after) == some[0].start else {}
        most = self._question.limit + 1 - len(self._rows)
        return made_of, totals(self._connection, which, made_of, behind, most)

    def _shown(self, some: list[Span], made_of: Pieces, found: list[Total], now: Moment) -> Iterator[Row]:
        from_live, type_, zone = made_of.from_live, self._question.which.type, self._question.zone
        # Of each window that has a total: its start, source, and whether it is final.
        shown = {
            number: (
                some[number].start.astimezone(zone).isoformat(),
                "live" if number in from_live else "batch",
                made_of.clean[number] and some[number].end <= now.now,
            )
            for number in {total.window for total in found}
        }
        for total in found:
            start, source, final = shown[total.window]
            yield Row(type_, total.id, start, int(total.value), source, final)

    def _cut(self, now: Moment) -> Page:
        rows = self._rows[: self._question.limit]
        start = dt.datetime.fromisoformat(rows[-1].timestamp).astimezone(dt.UTC)
        return Page(now.counted_at, rows, place_of(start, rows[-1].id))

    def _place_behind(self, some: list[Span]) -> Place | None:
        end = some[-1].end
        return place_of(end, "") if end < self._question.until else None
