"""Records of the feed ``devices``: phones that use apps over antennas."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from simulator.faults import broken
from simulator.traffic import Message, Rhythm, Sent, Traffic, Zipf, chunks

APPS = (
    "YOUTUBE", "NETFLIX", "INSTAGRAM", "FACEBOOK", "TIKTOK", "WHATSAPP",
    "SPOTIFY", "TELEGRAM", "SKYPE", "FACETIME", "GMAIL", "MAPS",
)  # fmt: skip
_LEAST_BYTES, _SPREAD_BYTES = 500, 9_500
_LATE_S = (600, 3 * 3_600)
_REMEMBERED = 5_000


def device_id(number: int) -> str:
    """The id of the n-th device or antenna, in the form of the provisioned users."""
    return f"00000000-0000-0000-0000-{number:012d}"


class Usage(NamedTuple):
    """One record before it is written as JSON."""

    bytes: int
    timestamp: int
    app: str
    id: str
    antenna_id: str
    event_id: str | None

    def message(self) -> Message:
        """The record as the feed's topic carries it, keyed by the device."""
        event_id = f',"event_id":"{self.event_id}"' if self.event_id else ""
        value = (
            f'{{"bytes":{self.bytes},"timestamp":{self.timestamp},"app":"{self.app}","id":"{self.id}",'
            f'"antenna_id":"{self.antenna_id}"{event_id}}}'
        )
        return Message(self.id.encode(), value.encode())


class DeviceTraffic:
    """The messages of a traffic, piece by piece, and what of them counts.

    A late record has an event time ten minutes to three hours before it is due; a duplicate is, byte for byte, one
    of the last few thousand messages; an invalid one has one of the faults of ``simulator.faults``.
    """

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.sent = Sent()
        self._rng = random.Random(f"devices/{traffic.seed}/{traffic.start}")
        self._ids = Zipf([device_id(n) for n in range(1, traffic.devices + 1)], traffic.skew)
        self._antennas = Zipf([device_id(n) for n in range(traffic.antennas)], traffic.skew / 3)
        self._apps = Zipf(APPS, traffic.skew)
        self._rhythm = Rhythm(traffic.start, traffic.rate)
        self._recent: deque[Message] = deque(maxlen=_REMEMBERED)

    def pieces(self, size: int = 10_000) -> Iterator[tuple[float, list[Message]]]:
        """Messages in pieces, each with the event time at which its last one is due."""
        for count in chunks(self.traffic, size):
            times = self._rhythm.take(count)
            usages = self._usages(times)
            messages = [usage.message() for usage in usages]
            self.sent.records += count
            self.sent.valid_bytes += sum(usage.bytes for usage in usages)
            self._disturb(usages, messages)
            yield times[-1], messages

    def _usages(self, times: list[float]) -> list[Usage]:
        rng, count = self._rng, len(times)
        salt, first = rng.getrandbits(64), self.sent.records
        with_id = self.traffic.event_ids
        return [
            Usage(size, int(time), app, user, antenna, f"{salt:016x}{n:016x}" if with_id else None)
            for n, size, time, app, user, antenna in zip(
                range(first, first + count),
                [_LEAST_BYTES + int(rng.random() * _SPREAD_BYTES) for _ in range(count)],
                times,
                self._apps.draw(rng, count),
                self._ids.draw(rng, count),
                self._antennas.draw(rng, count),
                strict=True,
            )
        ]

    def _disturb(self, usages: list[Usage], messages: list[Message]) -> None:
        """Replace the traffic's shares of the messages by late, repeated and invalid ones."""
        late = self.traffic.late
        duplicate = late + self.traffic.duplicates
        invalid = duplicate + self.traffic.invalid
        intact = []
        for i, usage in enumerate(usages):
            draw = self._rng.random()
            if draw < late:
                messages[i] = self._late(usage)
                self.sent.late += 1
            elif draw < duplicate and self._recent:
                messages[i] = self._rng.choice(self._recent)
                self.sent.duplicates += 1
                self.sent.valid_bytes -= usage.bytes
            elif duplicate <= draw < invalid:
                messages[i] = broken(self._rng, usage.message())
                self.sent.invalid += 1
                self.sent.valid_bytes -= usage.bytes
            elif duplicate:
                intact.append(messages[i])
        self._recent.extend(intact[-_REMEMBERED:])

    def _late(self, usage: Usage) -> Message:
        return usage._replace(timestamp=usage.timestamp - self._rng.randint(*_LATE_S)).message()
