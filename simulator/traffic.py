"""The shape of traffic: its rate over the day, who sends how much, and the shares of disturbed records."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytemeter.errors import BytemeterError
from simulator.texts import Ints, Texts, encoded

DAY_S = 86_400
QUIETEST_HOUR_S = 4 * 3_600
_MINUTE_S = 60
_SAME_RATE_S = 600

Floats = NDArray[np.float64]
# A Kafka message to be sent: key and value, either may be None.
Message = dict[str, bytes | None]


@dataclass(frozen=True)
class Traffic:
    """A stream of records: the same seed, start, sizes and shares give the same records.

    Attributes:
        start: event time of the first record, epoch seconds (UTC).
        rate: records a second, mean over a day; fewer by night.
        records: how many records to make, None for no end.
        subscribers, antennas: how many there are.
        depth: how far the rate goes below its mean by night, and above it by day; 0 is a steady rate.
        skew: exponent of the Zipf law by which subscribers and apps share the traffic; 0 is uniform.
        late, duplicates, invalid: shares of the records, each in 0..1.
        event_ids: whether records carry an ``event_id``, where it is optional; records without it are never duplicates.
    """

    start: float
    seed: int = 7
    rate: float = 100.0
    records: int | None = None
    subscribers: int = 20
    depth: float = 0.6
    antennas: int = 5
    skew: float = 0.8
    late: float = 0.0
    duplicates: float = 0.0
    invalid: float = 0.0
    event_ids: bool = True

    def __post_init__(self) -> None:
        shares = (self.late, self.duplicates, self.invalid)
        if min(shares) < 0 or sum(shares) > 1:
            raise BytemeterError(
                f"shares of late, duplicates and invalid are {shares}; expected 0 to 1, in sum at most 1"
            )
        if self.duplicates and not self.event_ids:
            raise BytemeterError(
                "duplicates need event ids: without an id each record counts; leave out --duplicates or --no-event-ids"
            )
        if self.rate <= 0 or self.subscribers < 1 or self.antennas < 1:
            raise BytemeterError("rate, subscribers and antennas must be positive")


@dataclass
class Sent:
    """Counts of the records sent, and the bytes of the records that count: valid and distinct."""

    records: int = 0
    late: int = 0
    duplicates: int = 0
    invalid: int = 0
    valid_bytes: int = 0

    @property
    def valid(self) -> int:
        """Valid, distinct records."""
        return self.records - self.duplicates - self.invalid


@dataclass
class Rhythm:
    """Event times that advance record by record: by day in shorter steps (more records) than by night."""

    now: float
    rate: float
    depth: float = 0.6

    def take(self, count: int) -> Floats:
        """The next ``count`` event times; the rate changes every ten minutes."""
        runs = []
        while count > 0:
            step = 1 / self._rate()
            fitting = min(count, max(1, int(_SAME_RATE_S / step)))
            runs.append(self.now + step * np.arange(fitting, dtype=np.float64))
            self.now += step * fitting
            count -= fitting
        return np.concatenate(runs)

    def rewind(self, count: float) -> None:
        """Go back by the time that ``count`` records take, to the minute."""
        while count > 0:
            self.now -= _MINUTE_S
            count -= _MINUTE_S * self._rate()

    def _rate(self) -> float:
        # The cosine is -1 at the quietest hour and +1 twelve hours later; its mean over a day is 0.
        return self.rate * (1 - self.depth * math.cos(2 * math.pi * (self.now - QUIETEST_HOUR_S) / DAY_S))


class Zipf:
    """Draws numbers below ``count``, the n-th with the weight (n + 1) ** -skew."""

    def __init__(self, count: int, skew: float) -> None:
        self._cumulative = np.cumsum(np.arange(1, count + 1, dtype=float) ** -skew)
        # A power of two, so that a draw's place in it is exact.
        self._cells = 1 << count.bit_length()
        cells = np.arange(self._cells) / self._cells
        self._least: Ints = np.searchsorted(self._cumulative, cells * self._cumulative[-1])

    def draw(self, rng: np.random.Generator, count: int) -> Ints:
        """``count`` numbers, with repetition.

        By an indexed search (Chen and Asau, 1974): a table holds the least number that a draw can mean, and few steps
        lead from there to the number; five times as fast as a binary search for 100,000 numbers.
        """
        draws = rng.random(count)
        numbers: Ints = self._least[(draws * self._cells).astype(np.int64)]
        draws *= self._cumulative[-1]
        low = np.flatnonzero(self._cumulative[numbers] < draws)
        while len(low):
            numbers[low] += 1
            low = low[self._cumulative[numbers[low]] < draws[low]]
        return numbers


def messages_of(keys: Texts, values: Texts) -> list[Message]:
    """The messages with these keys and values."""
    return [{"key": key, "value": value} for key, value in zip(encoded(keys), encoded(values), strict=True)]


def chunks(traffic: Traffic, size: int) -> Iterator[int]:
    """The sizes of the pieces that the records are made in; endless if ``records`` is None."""
    left = math.inf if traffic.records is None else traffic.records
    while left > 0:
        count = int(min(size, left))
        yield count
        left -= count


def start_time(text: str | None, *, records: int | None, rate: float) -> float:
    """The event time of the first record, epoch seconds: the given one; else now, or so that ``records`` end about now.

    Raises:
        BytemeterError: the text is not a time.
    """
    if text is None:
        rhythm = Rhythm(time.time(), rate)
        rhythm.rewind(records or 0)
        return rhythm.now
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BytemeterError(f"{text!r} is not a time; give e.g. 2026-11-21T10:00:00") from None
    return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).timestamp()
