"""The messages of a traffic, piece by piece, whatever the feed: drawn, then disturbed by what real senders do."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from simulator.faults import Fault
from simulator.texts import Ints
from simulator.traffic import Message, Rhythm, Sent, Traffic, chunks

_LATE_S = (600, 3 * 3_600)
_REMEMBERED = 5_000


@dataclass
class _Disturbed:
    """Places in a piece: what is repeated there, which faults are made there, and what can be repeated later."""

    repeats: dict[int, Message] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    repeatable: list[int] = field(default_factory=list)


class Simulation(ABC):
    """The messages of a traffic, and what of them counts.

    A late record has an event time ten minutes to three hours before it is due; a duplicate is, byte for byte, one
    of the last few thousand messages; an invalid one has one of the feed's faults.

    Attributes:
        feed: the name of the feed.
        faults: what can be wrong with a message, by name.
    """

    feed: ClassVar[str]
    faults: ClassVar[Mapping[str, Fault]]

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.sent = Sent()
        self.rng = np.random.default_rng([traffic.seed, int(traffic.start * 1_000), zlib.crc32(self.feed.encode())])
        self._rhythm = Rhythm(traffic.start, traffic.rate, traffic.depth)
        self._recent: deque[Message] = deque(maxlen=_REMEMBERED)

    def pieces(self, size: int = 10_000) -> Iterator[tuple[float, list[Message]]]:
        """Messages in pieces, each with the event time at which its last one is due."""
        for count in chunks(self.traffic, size):
            times = self._rhythm.take(count)
            seconds = times.astype("int64")
            sizes = self.draw(count)
            disturbed = self._disturb(seconds)
            messages = self.messages(seconds)
            self._replace(messages, disturbed)
            self.sent.records += count
            self.sent.valid_bytes += int(sizes.sum() - sizes[[*disturbed.repeats, *disturbed.faults]].sum())
            yield float(times[-1]), messages

    @abstractmethod
    def draw(self, count: int) -> Ints:
        """Draw what the next records tell, but for their event times; their bytes."""

    @abstractmethod
    def messages(self, seconds: Ints) -> list[Message]:
        """The messages of the records drawn, with these event times."""

    def _disturb(self, seconds: Ints) -> _Disturbed:
        """Choose the traffic's shares of late, repeated and invalid records; the late ones get their event times."""
        late = self.traffic.late
        duplicate = late + self.traffic.duplicates
        invalid = duplicate + self.traffic.invalid
        disturbed, names = _Disturbed(), sorted(self.faults)
        if not invalid:
            return disturbed
        draws = self.rng.random(len(seconds))
        for i in np.flatnonzero(draws < invalid).tolist():
            if draws[i] < late:
                seconds[i] -= self.rng.integers(*_LATE_S, endpoint=True)
                self.sent.late += 1
            elif draws[i] >= duplicate:
                disturbed.faults[i] = self.faults[names[int(self.rng.integers(len(names)))]]
            elif self._recent:
                disturbed.repeats[i] = self._recent[int(self.rng.integers(len(self._recent)))]
        if self.traffic.duplicates:
            disturbed.repeatable = np.flatnonzero(draws >= invalid)[-_REMEMBERED:].tolist()
        return disturbed

    def _replace(self, messages: list[Message], disturbed: _Disturbed) -> None:
        """Put the repeated and the invalid messages in the places chosen, and remember some of the others."""
        for i, message in disturbed.repeats.items():
            messages[i] = message
        for i, fault in disturbed.faults.items():
            messages[i] = {"key": messages[i]["key"], "value": fault(messages[i]["value"] or b"")}
        self._recent.extend([messages[i] for i in disturbed.repeatable])
        self.sent.duplicates += len(disturbed.repeats)
        self.sent.invalid += len(disturbed.faults)
