"""The totals of a feed's dimension in windows of a zone, page by page."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from serving.api.parameters import Place, place_of, start_of
from serving.api.reading import Reading
from serving.api.totals import Moment, Which, WindowTotals, totals
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


def usage(question: Question, clock: Callable[[], float] = time.monotonic) -> Callable[[Reading], Page]:
    """The question for a snapshot."""
    return lambda reading: _Paging(question, reading, clock).page()


class _Paging:
    """Reads windows, some at a time, until the page is full or its time is over."""

    def __init__(self, question: Question, reading: Reading, clock: Callable[[], float]) -> None:
        self._question, self._reading = question, reading
        self._clock, self._end = clock, clock() + _MOST_S
        self._rows: list[Row] = []

    def page(self) -> Page:
        question = self._question
        since = max(question.since, start_of(question.after)) if question.after else question.since
        ahead = windows(question.unit, question.zone, since, question.until)
        while True:
            some = self._some(ahead)
            behind = self._place_behind(some)
            if behind:
                self._reading.several()
            now, found = self._read(some)
            self._rows += self._shown(some, found, now)
            if len(self._rows) > question.limit:
                return self._cut(now)
            self._note_ids(found)
            if behind is None or self._clock() > self._end:
                return Page(now.counted_at, self._rows, behind)

    def _note_ids(self, found: list[WindowTotals]) -> None:
        """Note how many ids a window has; what was cut off tells nothing, and quiet windows little."""
        which = self._question.which
        if found and not which.id:
            seen = max(len(window.ids) for window in found)
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

    def _read(self, some: list[Span]) -> tuple[Moment, list[WindowTotals]]:
        question, after = self._question, self._question.after
        behind = after[1] if after and some and start_of(after) == some[0].start else ""
        most = question.limit + 1 - len(self._rows)
        return totals(self._reading, question.which, some, live_only=question.unit == "5m", after=behind, most=most)

    def _shown(self, some: list[Span], found: list[WindowTotals], now: Moment) -> Iterator[Row]:
        type_, zone = self._question.which.type, self._question.zone
        for window in found:
            span = some[window.number]
            start, final = span.start.astimezone(zone).isoformat(), window.clean and span.end <= now.now
            source = "live" if window.from_live else "batch"
            for id_, value in zip(window.ids, window.values, strict=True):
                yield Row(type_, id_, start, value, source, final)

    def _cut(self, now: Moment) -> Page:
        rows = self._rows[: self._question.limit]
        start = dt.datetime.fromisoformat(rows[-1].timestamp).astimezone(dt.UTC)
        return Page(now.counted_at, rows, place_of(start, rows[-1].id))

    def _place_behind(self, some: list[Span]) -> Place | None:
        """Where the windows behind these begin, if there are any."""
        return place_of(some[-1].end, "") if some and some[-1].end < self._question.until else None
