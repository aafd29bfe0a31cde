"""Months as users write them: ``2026-11``."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from bytemeter.errors import BytemeterError

_MONTHS = 12


def settled_after_s(grace_s: float) -> float:
    """Seconds after the end of a month (UTC) until its billing periods are over in all zones, and past their grace."""
    return 12 * 3_600 + grace_s


@dataclass(frozen=True)
class Month:
    """A calendar month."""

    year: int
    month: int

    @property
    def start(self) -> dt.datetime:
        """Its first instant in UTC."""
        return dt.datetime(self.year, self.month, 1, tzinfo=dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """The first instant after it in UTC."""
        return dt.datetime(self.year + self.month // _MONTHS, self.month % _MONTHS + 1, 1, tzinfo=dt.UTC)

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02d}"


def parse_month(text: str) -> Month:
    """The month that the text names.

    Raises:
        BytemeterError: the text is not a month.
    """
    try:
        parsed = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC)
    except ValueError:
        raise BytemeterError(f"{text!r} is not a month; give e.g. 2026-11") from None
    return Month(parsed.year, parsed.month)
