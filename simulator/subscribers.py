"""The simulated subscribers: their MSISDNs, time zones and data plans."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from simulator.texts import Ints, Texts, decimal

ZONES = (
    "Europe/Warsaw", "Europe/Warsaw", "Europe/Warsaw", "Europe/Berlin", "Europe/London", "Europe/Lisbon",
    "Europe/Kyiv", "America/New_York", "America/Chicago", "America/Sao_Paulo", "America/St_Johns", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Apia",
)  # fmt: skip
_GIB = 2**30
LIMITS = (_GIB, 2 * _GIB, 5 * _GIB, 5 * _GIB, 10 * _GIB, 20 * _GIB, 50 * _GIB)
ANCHORS = (1, 1, 1, 1, 1, 1, 15, 31)
THRESHOLDS: tuple[tuple[int, ...], ...] = ((), (), (), (), (90,), (25, 50, 75), (50, 80, 100, 150))
_FIRST_MSISDN = 48_500_000_000


@dataclass(frozen=True)
class Subscribers:
    """Subscribers as columns: their indexes, and the indexes of their options in ``ZONES``, ``LIMITS`` and so on."""

    indexes: Ints
    zones: Ints
    limits: Ints
    anchors: Ints
    thresholds: Ints

    def __getitem__(self, which: slice | NDArray[np.bool_]) -> Subscribers:
        """The subscribers of a slice or mask."""
        return Subscribers(*(getattr(self, column.name)[which] for column in fields(self)))

    def __len__(self) -> int:
        return len(self.indexes)


def msisdn(index: int) -> str:
    """The MSISDN of the subscriber with that index."""
    return str(_FIRST_MSISDN + index)


def msisdns(indexes: Ints) -> Texts:
    """The MSISDNs of the subscribers with these indexes."""
    return decimal(_FIRST_MSISDN + indexes, len(str(_FIRST_MSISDN)))


def zones_of(count: int, seed: int) -> Ints:
    """For each subscriber the index of the time zone in ``ZONES``."""
    return np.random.default_rng([seed, 1]).integers(len(ZONES), size=count)


def subscribers(count: int, seed: int) -> Subscribers:
    """The first ``count`` subscribers; the same for the same count and seed."""
    rng = np.random.default_rng([seed, 2])
    plans = (rng.integers(len(options), size=count) for options in (LIMITS, ANCHORS, THRESHOLDS))
    return Subscribers(np.arange(count), zones_of(count, seed), *plans)
