"""Records of the feed ``data-records``: subscribers that use up their data plans."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np

from simulator import faults
from simulator.simulation import Simulation
from simulator.subscribers import ZONES, msisdns, zones_of
from simulator.texts import Ints, Texts, decimal, hexadecimal, rows
from simulator.traffic import Message, Traffic, Zipf, messages_of

_MEAN_BYTES = 8_000_000
_MOST_REMEMBERED = 100_000
# Held, for ZoneInfo's own cache keeps only eight.
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
        self._minutes: dict[int, tuple[bytes, bytes]] = {}

    def draw(self, count: int) -> Ints:
        """See ``Simulation``."""
        self._salt = f"{int(self.rng.integers(2**63)):016x}".encode()
        self._sizes: Ints = self.rng.exponential(_MEAN_BYTES, count).astype("int64")
        self._subscribers = self._by_subscriber.draw(self.rng, count)
        return self._sizes

    def messages(self, seconds: Ints) -> list[Message]:
        """See ``Simulation``."""
        numbers = self.sent.records + np.arange(len(seconds))
        subscribers = self._msisdns[self._subscribers]
        before, after = self._around(seconds // 60, self._zones[self._subscribers])
        values = rows(
            len(seconds),
            (b'{"id":"', self._salt, hexadecimal(numbers), b'","internalId":"r', decimal(numbers, 15),
             b'","msisdn":"', subscribers, b'","recordedAt":"', before, decimal(seconds % 60, 2), after),
            (b'","recordedBytes":', self._sizes.astype("S")),
            (b"}",),
        )  # fmt: skip
        return messages_of(subscribers.tolist(), values)

    def _around(self, minutes: Ints, zones: Ints) -> tuple[Texts, Texts]:
        """What stands before and after the seconds of instants in these minutes, told in these zones."""
        if len(self._minutes) > _MOST_REMEMBERED:
            self._minutes.clear()
        different, which = np.unique(minutes * len(ZONES) + zones, return_inverse=True)
        texts = [self._minutes.get(both) or self._remember(both) for both in different.tolist()]
        before, after = (np.array(column) for column in zip(*texts, strict=True))
        return before[which], after[which]

    def _remember(self, both: int) -> tuple[bytes, bytes]:
        minute, zone = divmod(both, len(ZONES))
        text = dt.datetime.fromtimestamp(60 * minute, _ZONES[zone]).isoformat()
        self._minutes[both] = text[:17].encode(), f"{text[19:]}[{ZONES[zone]}]".encode()
        return self._minutes[both]
