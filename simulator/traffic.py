"""What traffic looks like: how much, of whom, and which share of it is late, repeated or broken."""

from __future__ import annotations

import datetime as dt
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from bytemeter.errors import BytemeterError

DAY_S = 86_400
QUIETEST_HOUR_S = 4 * 3_600
_MINUTE_S = 60


@dataclass(frozen=True)
class Traffic:
    """A stream of records: the same seed, start and shares give the same records.

    Attributes:
        start: event time of the first record, epoch seconds (UTC).
        rate: records a second, mean over a day; the rhythm of the day makes it less by night.
        records: how many records to make, None for no end.
        devices, antennas: how many distinct ones.
        skew: exponent of the Zipf law by which devices and apps share the traffic; 0 is uniform.
        late, duplicates, invalid: shares of the records, each in 0..1.
        event_ids: whether records carry an ``event_id``; without one a repeat cannot be told.
    """

    start: float
    seed: int = 7
    rate: float = 100.0
    records: int | None = None
    devices: int = 20
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
            raise BytemeterError("duplicates need event ids: without an id a repeated record is a record of its own")
        if self.rate <= 0 or self.devices < 1 or self.antennas < 1:
            raise BytemeterError("rate, devices and antennas must be positive")


@dataclass
class Sent:
    """What was sent, and the truth about it: only the valid, distinct records count."""

    records: int = 0
    late: int = 0
    duplicates: int = 0
    invalid: int = 0
    valid_bytes: int = 0

    @property
    def valid(self) -> int:
        """Valid, distinct records."""
        return self.records - self.duplicates - self.invalid


class Message(NamedTuple):
    """A Kafka message to be: key and value as bytes, either may be None."""

    key: bytes | None
    value: bytes | None


@dataclass
class Rhythm:
    """Event times that advance record by record, slower by day (more records) than by night."""

    now: float
    rate: float
    depth: float = 0.6

    def take(self, count: int) -> list[float]:
        """The next ``count`` event times; the rate is that at the first of them."""
        step = 1 / self._rate()
        times = [self.now + step * i for i in range(count)]
        self.now += step * count
        return times

    def rewind(self, count: float) -> None:
        """Go back by the time that ``count`` records take, to the minute."""
        while count > 0:
            self.now -= _MINUTE_S
            count -= _MINUTE_S * self._rate()

    def _rate(self) -> float:
        # The cosine is -1 at the quietest hour and +1 twelve hours later; its mean over a day is 0.
        return self.rate * (1 - self.depth * math.cos(2 * math.pi * (self.now - QUIETEST_HOUR_S) / DAY_S))


class Zipf:
    """Draws from a population in which the n-th has the weight n ** -skew."""

    def __init__(self, population: Sequence[str], skew: float) -> None:
        self.population = population
        self._cumulative = list(accumulate(rank**-skew for rank in range(1, len(population) + 1)))

    def draw(self, rng: random.Random, count: int) -> list[str]:
        """``count`` members, with repetition."""
        return rng.choices(self.population, cum_weights=self._cumulative, k=count)


def chunks(traffic: Traffic, size: int) -> Iterator[int]:
    """Sizes of the pieces in which the records are made; without end if ``records`` is None."""
    left = math.inf if traffic.records is None else traffic.records
    while left > 0:
        count = int(min(size, left))
        yield count
        left -= count


def start_time(text: str | None, *, records: int | None, rate: float) -> float:
    """The event time of the first record, epoch seconds: as told, else now, or such that the records end about now.

    Raises:
        BytemeterError: the text is no time.
    """
    if text is None:
        rhythm = Rhythm(time.time(), rate)
        rhythm.rewind(records or 0)
        return rhythm.now
    try:
        told = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BytemeterError(f"{text!r} is not a time; give e.g. 2026-11-21T10:00:00") from None
    return told.replace(tzinfo=told.tzinfo or dt.UTC).timestamp()
