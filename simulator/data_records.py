"""Records of the feed ``data-records``: subscribers that use up their data plans."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from simulator import faults
from simulator.simulation import Simulation
from simulator.subscribers import ZONES, msisdns, zones_of
from simulator.texts import Ints, Texts, decimal, hexadecimal, joined, plain
from simulator.traffic import Message, Traffic, Zipf, messages_of

_MEAN_BYTES = 8_000_000
_MOST_REMEMBERED = 100_000
# Kept here: the cache of ZoneInfo holds only eight.
_ZONES = tuple(map(ZoneInfo, ZONES))


class DataRecordSimulation(Simulation):
    """Subscribers that use up their data plans, the sizes of their records exponentially distributed."""

    feed = "data-records"
    faults = faults.DATA_RECORDS

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(traffic)
        self._msisdns = msisdns(np.arange(traffic.subscribers))
        self._zones = zones_of(traffic.subscribers, traffic.seed)
        self._by_subscriber = Zipf(traffic.subscribers, traffic.skew)
        self._minutes: dict[int, tuple[str, str]] = {}

    def draw(self, count: int) -> Ints:
        """See ``Simulation``."""
        self._salt = f"{int(self.rng.integers(2**63)):016x}"
        self._sizes: Ints = self.rng.exponential(_MEAN_BYTES, count).astype("int64")
        self._subscribers = self._by_subscriber.draw(self.rng, count)
        return self._sizes

    def messages(self, seconds: Ints) -> list[Message]:
        """See ``Simulation``."""
        indexes = self.sent.records + np.arange(len(seconds))
        keys = self._msisdns.take(self._subscribers)
        before, after = self._around(seconds // 60, self._zones[self._subscribers])
        values = joined(
            '{"id":"', self._salt, hexadecimal(indexes),
            '","internalId":"r', decimal(indexes, 15),
            '","msisdn":"', keys,
            '","recordedAt":"', before, decimal(seconds % 60, 2), after,
            '","recordedBytes":', plain(self._sizes), "}",
        )  # fmt: skip
        return messages_of(keys, values)

    def _around(self, minutes: Ints, zones: Ints) -> tuple[Texts, Texts]:
        """The text before and after the seconds of instants in these minutes (since 1970) and zones (indexes)."""
        if len(self._minutes) > _MOST_REMEMBERED:
            self._minutes.clear()
        distinct, which = np.unique(minutes * len(ZONES) + zones, return_inverse=True)
        texts = [self._minutes.get(both) or self._remember(both) for both in distinct.tolist()]
        before, after = (pa.array(column).take(which) for column in zip(*texts, strict=True))
        return before, after

    def _remember(self, both: int) -> tuple[str, str]:
        minute, zone = divmod(both, len(ZONES))
        text = dt.datetime.fromtimestamp(60 * minute, _ZONES[zone]).isoformat()
        self._minutes[both] = text[:17], f"{text[19:]}[{ZONES[zone]}]"
        return self._minutes[both]
