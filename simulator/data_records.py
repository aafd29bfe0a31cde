"""Records of the feed ``data-records``: subscribers that use up their data plans."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from simulator import faults
from simulator.simulation import Simulation
from simulator.subscribers import ZONES, msisdn, zones_of
from simulator.traffic import Floats, Message, Traffic, Zipf

_MEAN_BYTES = 8_000_000
_MOST_REMEMBERED = 100_000

# bytes, second, numbers of the subscriber and the record.
_Record = tuple[int, int, int, int]


class DataRecordSimulation(Simulation):
    """Subscribers that use up their data plans, the sizes of their records exponentially distributed."""

    feed = "data-records"
    faults = faults.DATA_RECORDS

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(traffic)
        self._numbers = [msisdn(n) for n in range(traffic.subscribers)]
        self._zones = zones_of(traffic.subscribers, traffic.seed)
        self._by_subscriber = Zipf(traffic.subscribers, traffic.skew)
        self._minutes: dict[tuple[int, int], tuple[str, str]] = {}
        self._drawn: list[_Record] = []
        self._salt = ""

    def draw(self, times: Floats) -> Sequence[int]:
        """See ``Simulation``."""
        rng, count, first = self.rng, len(times), self.sent.records
        self._salt = f"{int(rng.integers(2**63)):016x}"
        sizes: list[int] = rng.exponential(_MEAN_BYTES, count).astype("int64").tolist()
        seconds: list[int] = times.astype("int64").tolist()
        self._drawn = list(
            zip(sizes, seconds, self._by_subscriber.draw(rng, count), range(first, first + count), strict=True)
        )
        return sizes

    def messages(self) -> list[Message]:
        """See ``Simulation``."""
        return [self._message(*record) for record in self._drawn]

    def earlier(self, index: int, seconds: int) -> Message:
        """See ``Simulation``."""
        size, time, subscriber, n = self._drawn[index]
        return self._message(size, time - seconds, subscriber, n)

    def _message(self, size: int, time: int, subscriber: int, n: int) -> Message:
        number = self._numbers[subscriber]
        minute = (time // 60, self._zones[subscriber])
        before, after = self._minutes.get(minute) or self._around(minute)
        value = (
            f'{{"id":"{self._salt}{n:016x}","internalId":"r{n:015d}","msisdn":"{number}",'
            f'"recordedAt":"{before}{time % 60:02d}{after}","recordedBytes":{size}}}'
        )
        return {"key": number.encode(), "value": value.encode()}

    def _around(self, minute: tuple[int, int]) -> tuple[str, str]:
        """What stands before and after the seconds of the instants in a minute."""
        if len(self._minutes) > _MOST_REMEMBERED:
            self._minutes.clear()
        zone = ZONES[minute[1]]
        local = dt.datetime.fromtimestamp(60 * minute[0], ZoneInfo(zone))
        text = local.isoformat()
        self._minutes[minute] = (text[:17], f"{text[19:]}[{zone}]")
        return self._minutes[minute]
