"""Records of the feed ``devices``: phones that use apps over antennas."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator import faults
from simulator.simulation import Simulation
from simulator.texts import Ints, Texts, decimal, hexadecimal, joined, plain
from simulator.traffic import Message, Traffic, Zipf, messages_of

APPS = (
    "YOUTUBE", "NETFLIX", "INSTAGRAM", "FACEBOOK", "TIKTOK", "WHATSAPP",
    "SPOTIFY", "TELEGRAM", "SKYPE", "FACETIME", "GMAIL", "MAPS",
)  # fmt: skip
_LEAST_BYTES, _MOST_BYTES = 500, 10_000


def device_ids(indexes: Ints) -> Texts:
    """The ids of the devices or antennas with these indexes, in the form of the provisioned users' ids."""
    return joined("00000000-0000-0000-0000-", decimal(indexes, 12))


class DeviceSimulation(Simulation):
    """Phones that use apps over antennas."""

    feed = "devices"
    faults = faults.DEVICES

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(traffic)
        self._ids = device_ids(np.arange(1, traffic.subscribers + 1))
        self._antennas = device_ids(np.arange(traffic.antennas))
        self._apps = pa.array(APPS)
        self._sizes = plain(np.arange(_MOST_BYTES))
        self._by_id = Zipf(traffic.subscribers, traffic.skew)
        self._by_antenna = Zipf(traffic.antennas, traffic.skew / 3)
        self._by_app = Zipf(len(APPS), traffic.skew)

    def draw(self, count: int) -> Ints:
        """See ``Simulation``."""
        self._salt = f"{int(self.rng.integers(2**63)):016x}"
        self._drawn_sizes: Ints = self.rng.integers(_LEAST_BYTES, _MOST_BYTES, count)
        self._drawn_apps = self._by_app.draw(self.rng, count)
        self._drawn_ids = self._by_id.draw(self.rng, count)
        self._drawn_antennas = self._by_antenna.draw(self.rng, count)
        return self._drawn_sizes

    def messages(self, seconds: Ints) -> list[Message]:
        """See ``Simulation``."""
        ids = self._ids.take(self._drawn_ids)
        indexes = self.sent.records + np.arange(len(seconds))
        event_ids = ('","event_id":"', self._salt, hexadecimal(indexes)) if self.traffic.event_ids else ()
        values = joined(
            '{"bytes":', self._sizes.take(self._drawn_sizes),
            ',"timestamp":', plain(seconds),
            ',"app":"', self._apps.take(self._drawn_apps),
            '","id":"', ids,
            '","antenna_id":"', self._antennas.take(self._drawn_antennas), *event_ids, '"}',
        )  # fmt: skip
        return messages_of(ids, values)
