"""The simulated subscribers: their numbers, time zones and data plans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ZONES = (
    "Europe/Warsaw", "Europe/Warsaw", "Europe/Warsaw", "Europe/Berlin", "Europe/London", "Europe/Lisbon",
    "Europe/Kyiv", "America/New_York", "America/Chicago", "America/Sao_Paulo", "America/St_Johns", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Apia",
)  # fmt: skip
_GIB = 2**30
_LIMITS = (_GIB, 2 * _GIB, 5 * _GIB, 5 * _GIB, 10 * _GIB, 20 * _GIB, 50 * _GIB)
_ANCHORS = (1, 1, 1, 1, 1, 1, 15, 31)
_THRESHOLDS = ((), (), (), (), (90,), (25, 50, 75), (50, 80, 100, 150))


@dataclass(frozen=True)
class Subscriber:
    """A number and its data plan; without thresholds the default ones."""

    number: int
    time_zone: str
    limit: int
    anchor_day: int
    thresholds: tuple[int, ...]

    @property
    def msisdn(self) -> str:
        """The number in international form."""
        return msisdn(self.number)

    @property
    def agreement_id(self) -> str:
        """The id of the agreement."""
        return f"a9e00000-0000-4000-8000-{self.number:012d}"


def msisdn(number: int) -> str:
    """The n-th number."""
    return f"48{500_000_000 + number}"


def zones_of(count: int, seed: int) -> list[int]:
    """The numbers of the subscribers' time zones in ``ZONES``."""
    found: list[int] = np.random.default_rng([seed, 1]).integers(len(ZONES), size=count).tolist()
    return found


def subscribers(count: int, seed: int) -> list[Subscriber]:
    """The first subscribers; the same for the same count and seed."""
    rng = np.random.default_rng([seed, 2])
    drawn = (rng.integers(len(options), size=count).tolist() for options in (_LIMITS, _ANCHORS, _THRESHOLDS))
    return [
        Subscriber(n, ZONES[zone], _LIMITS[limit], _ANCHORS[anchor], _THRESHOLDS[thresholds])
        for n, zone, limit, anchor, thresholds in zip(range(count), zones_of(count, seed), *drawn, strict=True)
    ]
