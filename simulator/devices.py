"""Records of the feed ``devices``: phones that use apps over antennas."""

from __future__ import annotations

from collections.abc import Sequence

from simulator import faults
from simulator.simulation import Simulation
from simulator.traffic import Floats, Message, Traffic, Zipf

APPS = (
    "YOUTUBE", "NETFLIX", "INSTAGRAM", "FACEBOOK", "TIKTOK", "WHATSAPP",
    "SPOTIFY", "TELEGRAM", "SKYPE", "FACETIME", "GMAIL", "MAPS",
)  # fmt: skip
_LEAST_BYTES, _MOST_BYTES = 500, 10_000

# bytes, timestamp, numbers of the app, the phone and the antenna, number of the record.
_Record = tuple[int, int, int, int, int, int]


def device_id(number: int) -> str:
    """The id of the n-th device or antenna, in the form of the provisioned users."""
    return f"00000000-0000-0000-0000-{number:012d}"


class DeviceSimulation(Simulation):
    """Phones that use apps over antennas."""

    feed = "devices"
    faults = faults.DEVICES

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(traffic)
        self._ids = [device_id(n) for n in range(1, traffic.subscribers + 1)]
        self._keys = [id_.encode() for id_ in self._ids]
        self._antennas = [device_id(n) for n in range(traffic.antennas)]
        self._by_id = Zipf(traffic.subscribers, traffic.skew)
        self._by_antenna = Zipf(traffic.antennas, traffic.skew / 3)
        self._by_app = Zipf(len(APPS), traffic.skew)
        self._drawn: list[_Record] = []
        self._salt = ""

    def draw(self, times: Floats) -> Sequence[int]:
        """See ``Simulation``."""
        rng, count, first = self.rng, len(times), self.sent.records
        self._salt = f"{int(rng.integers(2**63)):016x}"
        sizes: list[int] = rng.integers(_LEAST_BYTES, _MOST_BYTES, count).tolist()
        seconds: list[int] = times.astype("int64").tolist()
        self._drawn = list(
            zip(
                sizes,
                seconds,
                self._by_app.draw(rng, count),
                self._by_id.draw(rng, count),
                self._by_antenna.draw(rng, count),
                range(first, first + count),
                strict=True,
            )
        )
        return sizes

    def messages(self) -> list[Message]:
        """See ``Simulation``."""
        ids, keys, antennas, salt = self._ids, self._keys, self._antennas, self._salt
        if not self.traffic.event_ids:
            return [self._message(record) for record in self._drawn]
        return [
            {
                "key": keys[id_],
                "value": (
                    f'{{"bytes":{size},"timestamp":{time},"app":"{APPS[app]}","id":"{ids[id_]}",'
                    f'"antenna_id":"{antennas[antenna]}","event_id":"{salt}{n:016x}"}}'
                ).encode(),
            }
            for size, time, app, id_, antenna, n in self._drawn
        ]

    def earlier(self, index: int, seconds: int) -> Message:
        """See ``Simulation``."""
        size, time, *others = self._drawn[index]
        return self._message((size, time - seconds, *others))  # type: ignore[arg-type]

    def _message(self, record: _Record) -> Message:
        size, time, app, id_, antenna, n = record
        event_id = f',"event_id":"{self._salt}{n:016x}"' if self.traffic.event_ids else ""
        value = (
            f'{{"bytes":{size},"timestamp":{time},"app":"{APPS[app]}","id":"{self._ids[id_]}",'
            f'"antenna_id":"{self._antennas[antenna]}"{event_id}}}'
        )
        return {"key": self._keys[id_], "value": value.encode()}
